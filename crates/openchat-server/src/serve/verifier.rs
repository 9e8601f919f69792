//! Who may speak the messenger's protocol: holders of a certificate of this CA, for clients, whose
//! name and key are registered.
//!
//! What a refused peer learns (see [`told`]): whoever proves the key of a registered certificate
//! learns that it was revoked or has expired; everybody else gets one and the same alert. So both are
//! looked at last, after the proof.

use crate::serve::{
    members::{Members, Standing},
    refusal::Refused,
};
use openchat_pki::{CaCertificate, MemberCertificate, Validity};
use openchat_relay::Identity;
use openchat_wire::UnixMillis;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The step of a certificate's times.
const SECOND: Duration = Duration::from_secs(1);

/// What certificates are checked against.
#[derive(Debug)]
pub(crate) struct Trust {
    pub(crate) ca: CaCertificate,
    pub(crate) members: Arc<Members>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

/// Verifies the client of one handshake, and remembers what came of it: rustls hands out neither
/// the verified certificate nor, beyond the alert, the reason.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    trust: Arc<Trust>,
    verdict: Mutex<Verdict>,
}

/// How far the client got.
#[derive(Debug)]
enum Verdict {
    Unseen,
    /// A certificate to be proved, and the time to judge it at.
    Presented(Box<MemberCertificate>, UnixMillis),
    /// Who it is, and when its certificate ends.
    Accepted(Identity, UnixMillis),
    Refused(Refused),
}

impl ClientVerifier {
    pub(crate) fn new(trust: &Arc<Trust>) -> Self {
        Self { trust: Arc::clone(trust), verdict: Mutex::new(Verdict::Unseen) }
    }

    /// Who it is and when its certificate ends, once the handshake is done; else the reason why not,
    /// if it was about this.
    ///
    /// # Errors
    /// `None` if the handshake failed for a reason that is not the client's certificate.
    pub(crate) fn conclude(&self) -> Result<(Identity, UnixMillis), Option<Refused>> {
        match self.swap(Verdict::Unseen) {
            Verdict::Accepted(who, until) => Ok((who, until)),
            Verdict::Refused(refused) => Err(Some(refused)),
            Verdict::Unseen | Verdict::Presented(..) => Err(None),
        }
    }

    fn swap(&self, verdict: Verdict) -> Verdict {
        mem::replace(&mut self.verdict.lock().unwrap_or_else(PoisonError::into_inner), verdict)
    }

    fn refuse(&self, refused: Refused) -> Error {
        let alert = told(&refused);
        self.swap(Verdict::Refused(refused));
        alert
    }

    fn present(&self, der: &[u8], now: UnixMillis) -> Result<(), Refused> {
        let member = self.trust.ca.verify_member(der).map_err(Refused::Certificate)?;
        if self.trust.members.standing(&identity(&member)) == Standing::Unknown {
            return Err(Refused::Unregistered(member.name().clone()));
        }
        self.swap(Verdict::Presented(Box::new(member), now));
        Ok(())
    }
}

fn identity(member: &MemberCertificate) -> Identity {
    Identity { name: member.name().clone(), fingerprint: member.fingerprint() }
}

/// The alert: the standard one for a period and a revocation, `access_denied` for everything else.
fn told(refused: &Refused) -> Error {
    Error::InvalidCertificate(match refused {
        Refused::Revoked(_) => CertificateError::Revoked,
        Refused::Period { validity: Validity::Expired, .. } => CertificateError::Expired,
        Refused::Period { validity: Validity::NotYet, .. } => CertificateError::NotValidYet,
        _ => CertificateError::ApplicationVerificationFailure,
    })
}

impl ClientCertVerifier for ClientVerifier {
    /// None: strangers need not learn the CA's name.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let now = UnixMillis(now.as_secs().saturating_mul(1000));
        self.present(end_entity, now).map_err(|refused| self.refuse(refused))?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Verdict::Presented(member, now) = self.swap(Verdict::Unseen) else {
            return Err(self.refuse(Refused::NoCertificate));
        };
        let proof = verify_tls13_signature(message, cert, dss, &self.trust.algorithms)
            .map_err(|_| self.refuse(Refused::Unproved))?;
        let who = identity(&member);
        if self.trust.members.standing(&who) == Standing::Revoked {
            return Err(self.refuse(Refused::Revoked(who.name)));
        }
        if let Err(validity) = member.valid_at(now) {
            return Err(self.refuse(Refused::Period { name: member.name().clone(), validity }));
        }
        // The last second is a whole one, for connections that stand as for those that come in it.
        self.swap(Verdict::Accepted(who, member.not_after().after(SECOND)));
        Ok(proof)
    }

    /// Members' keys are on P-256, so there is one way to sign.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
