//! Further certificates for people who have one: the same name and the same key, so that pins and seats
//! stay (Q5 of `docs/protocol.md`).

use crate::{
    outcome::Identity,
    relay::Relay,
    store::{Store, StoreError},
};
use openchat_crypto::CryptoRng;
use openchat_pki::{AuthorityError, CsrError, UnverifiedCsr};
use openchat_wire::{
    UnixMillis,
    relay::{Answer, Refusal},
};

/// What comes of a renewal: the answer for the device, the reason for the operator.
#[derive(Debug, Clone)]
pub struct RenewalOutcome {
    /// To be told after the flush that follows it.
    pub answer: Result<Answer, Refusal>,
    /// The index of the entry that the certificate is logged by, or why there is none.
    pub decided: Result<u64, RenewalFault>,
}

/// Why a certificate is not renewed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RenewalFault {
    /// It has had as many as it may have for now.
    #[error("too many certificates for one key, the next one in {retry_ms} ms")]
    Paced {
        /// Milliseconds.
        retry_ms: u32,
    },
    /// The certification request is not acceptable.
    #[error("certification request: {0}")]
    Csr(#[from] CsrError),
    /// A certificate for another key is an enrollment.
    #[error("Q5: the request is for another key than the one that asks")]
    OtherKey,
    /// The directory has another name for this key, or none.
    #[error("Q5: the name is not the one of this key")]
    OtherName,
    /// The key was revoked, for ever.
    #[error("Q5: the key was revoked")]
    Revoked,
    /// The CA can't issue.
    #[error("the CA can't issue: {0}")]
    Authority(#[from] AuthorityError),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

impl RenewalFault {
    fn refusal(&self) -> Refusal {
        match self {
            Self::Paced { retry_ms } => Refusal::Paced { retry_ms: *retry_ms },
            Self::Csr(_) | Self::OtherKey | Self::OtherName | Self::Revoked => {
                Refusal::Invalid(self.to_string())
            }
            Self::Authority(_) | Self::Store(_) => Refusal::Internal,
        }
    }
}

impl<S: Store> Relay<S> {
    /// Decides about [`Request::Renew`](openchat_wire::relay::Request::Renew). Only what is logged
    /// counts for the pace, because only the log is for ever.
    pub fn renew(
        &mut self,
        who: &Identity,
        csr: &[u8],
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> RenewalOutcome {
        let decided = self.guard(|relay| match relay.decide_renewal(who, csr, now, rng) {
            Err(RenewalFault::Store(error)) => Err(error),
            decided => Ok(decided),
        });
        match decided.unwrap_or_else(|error| Err(error.into())) {
            Ok((answer, index)) => RenewalOutcome { answer: Ok(answer), decided: Ok(index) },
            Err(fault) => RenewalOutcome { answer: Err(fault.refusal()), decided: Err(fault) },
        }
    }

    fn decide_renewal(
        &mut self,
        who: &Identity,
        csr: &[u8],
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Answer, u64), RenewalFault> {
        let retry_ms = self.certificates.wait(&who.fingerprint, 1, now);
        if retry_ms > 0 {
            return Err(RenewalFault::Paced { retry_ms });
        }
        let csr = UnverifiedCsr::decode(csr)?.verify_for(&who.name)?;
        if csr.public_key().fingerprint() != who.fingerprint {
            return Err(RenewalFault::OtherKey);
        }
        // Its session may end a moment from now.
        if self.transparency.is_revoked(&who.fingerprint) {
            return Err(RenewalFault::Revoked);
        }
        let registered = self.directory(&who.fingerprint)?.map(|member| member.name);
        if registered.as_ref() != Some(&who.name) {
            return Err(RenewalFault::OtherName);
        }
        let issued = self.issue::<RenewalFault>(&csr, now, rng)?;
        self.certificates.take(who.fingerprint, 1, now);
        Ok((Answer::Certificate(issued.certificate), issued.index))
    }
}
