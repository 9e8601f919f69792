//! Who gets a certificate: invitations to the server, and the directory of names and keys.
//!
//! A name has one key for ever and a key one name. An invitation is for one name and one key; the
//! same key asking again, because the answer was lost, gets the same certificate again.

pub(crate) mod operator;
pub(crate) mod renewal;

use crate::{
    relay::{Relay, record},
    store::{Store, StoreError, Table},
};
use core::fmt;
use openchat_crypto::{CryptoRng, Label, Secret, hash};
use openchat_pki::{AuthorityError, CsrError, Entry, UnverifiedCsr, VerifiedCsr};
use openchat_wire::{
    Blob, Digest, Fingerprint, Name, UnixMillis, encode,
    enroll::{EnrollAnswer, EnrollRefusal, EnrollRequest, Enrolled},
    limits::{INVITATION_LIFE, MAX_WRONG_SECRETS},
};
use serde::{Deserialize, Serialize};

/// What comes of an enrollment: the answer for the device, the reason for the operator's trace.
#[derive(Debug, Clone)]
pub struct EnrollOutcome {
    /// To be told after the flush that follows it.
    pub answer: EnrollAnswer,
    /// What the device is not told.
    pub reason: EnrollReason,
}

/// Why an enrollment ended as it did.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EnrollReason {
    /// A certificate was made.
    #[error("enrolled")]
    Enrolled,
    /// The same key asked again with the same invitation.
    #[error("enrolled before: the same certificate again")]
    Again,
    /// No invitation has this id.
    #[error("unknown invitation")]
    Unknown,
    /// The secret is not the invitation's.
    #[error("wrong secret, number {wrong} for this invitation")]
    WrongSecret {
        /// Wrong ones so far, this one included.
        wrong: u32,
    },
    /// Too many wrong secrets came before.
    #[error("invitation locked after wrong secrets")]
    Locked,
    /// Its time is over.
    #[error("invitation expired")]
    Expired,
    /// It was made for another name.
    #[error("invitation for another name")]
    OtherName,
    /// Another key has used it.
    #[error("invitation used by another key")]
    Used,
    /// The name has another key.
    #[error("name taken by another key")]
    NameTaken,
    /// The key has another name.
    #[error("key certified for another name")]
    KeyTaken,
    /// The key was revoked, for ever.
    #[error("key revoked")]
    Revoked,
    /// The certification request is not acceptable.
    #[error("certification request: {0}")]
    Csr(#[from] CsrError),
    /// The CA can't issue.
    #[error("the CA can't issue: {0}")]
    Authority(#[from] AuthorityError),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

impl EnrollReason {
    /// What the device is told: of its invitation only that it is not valid.
    const fn refusal(&self) -> EnrollRefusal {
        match self {
            Self::Unknown
            | Self::WrongSecret { .. }
            | Self::Locked
            | Self::Expired
            | Self::OtherName
            | Self::Used => EnrollRefusal::Invitation,
            Self::NameTaken => EnrollRefusal::NameTaken,
            Self::KeyTaken => EnrollRefusal::KeyTaken,
            Self::Revoked => EnrollRefusal::Revoked,
            Self::Csr(_) => EnrollRefusal::Csr,
            Self::Enrolled | Self::Again | Self::Authority(_) | Self::Store(_) => {
                EnrollRefusal::Internal
            }
        }
    }
}

/// A new invitation: what the invited person has to show.
#[derive(Clone)]
pub struct Invited {
    /// Names the invitation.
    pub id: [u8; 16],
    /// Kept nowhere but here.
    pub secret: [u8; 16],
}

impl fmt::Debug for Invited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invited(..)")
    }
}

/// What is stored of an invitation.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Invitation {
    name: Name,
    secret: Digest,
    expires: UnixMillis,
    wrong: u32,
    used: Option<Issued>,
}

/// A certificate that an invitation has led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Issued {
    key: Fingerprint,
    certificate: Blob,
    index: u64,
}

/// What the directory says of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: Name,
    /// The newest one, in DER.
    pub(crate) certificate: Blob,
}

impl<S: Store> Relay<S> {
    /// Makes an invitation for a name, whoever has it or will have it.
    ///
    /// # Errors
    /// As the store fails; the batch is lost then.
    pub fn invite(
        &mut self,
        name: &Name,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Invited, StoreError> {
        let mut invited = Invited { id: [0; 16], secret: [0; 16] };
        rng.fill_bytes(&mut invited.id);
        rng.fill_bytes(&mut invited.secret);
        let invitation = Invitation {
            name: name.clone(),
            secret: secret_hash(&invited.id, &invited.secret),
            expires: now.after(INVITATION_LIFE),
            wrong: 0,
            used: None,
        };
        let value = encode(&invitation);
        self.guard(|relay| relay.store.put(Table::Invitation, &invited.id, None, &value))?;
        Ok(invited)
    }

    /// Decides about an enrollment. Nothing of an unknown peer is looked at, its certification
    /// request least of all, before it has shown the invitation's secret.
    pub fn enroll(
        &mut self,
        request: &EnrollRequest,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> EnrollOutcome {
        let decided = self.guard(|relay| match relay.decide_enrollment(request, now, rng) {
            Err(EnrollReason::Store(error)) => Err(error),
            decided => Ok(decided),
        });
        match decided {
            Ok(Ok((enrolled, reason))) => EnrollOutcome { answer: Ok(enrolled), reason },
            Ok(Err(reason)) => EnrollOutcome { answer: Err(reason.refusal()), reason },
            Err(error) => {
                EnrollOutcome { answer: Err(EnrollRefusal::Internal), reason: error.into() }
            }
        }
    }

    /// What the directory says of a key.
    pub(crate) fn directory(&self, key: &Fingerprint) -> Result<Option<Member>, StoreError> {
        member(&self.store, key)
    }

    fn decide_enrollment(
        &mut self,
        request: &EnrollRequest,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<(Enrolled, EnrollReason), EnrollReason> {
        let invitation = self.shown_invitation(request)?;
        let csr = UnverifiedCsr::decode(&request.csr.0)?.verify_for(&request.name)?;
        let key = csr.public_key().fingerprint();
        if let Some(issued) = invitation.used {
            return if issued.key != key {
                Err(EnrollReason::Used)
            } else if self.transparency.is_revoked(&key) {
                Err(EnrollReason::Revoked)
            } else {
                Ok((self.enrolled(issued, now), EnrollReason::Again))
            };
        }
        if invitation.expires < now {
            return Err(EnrollReason::Expired);
        }
        self.check_unique(&request.name, &key)?;
        let issued = self.issue::<EnrollReason>(&csr, now, rng)?;
        let used = Invitation { used: Some(issued.clone()), ..invitation.clone() };
        self.replace_invitation(&request.invitation, &invitation, &used)?;
        Ok((self.enrolled(issued, now), EnrollReason::Enrolled))
    }

    /// The invitation that the request proves to have been received. A wrong secret is counted.
    fn shown_invitation(&mut self, request: &EnrollRequest) -> Result<Invitation, EnrollReason> {
        let found = self.record::<Invitation>(Table::Invitation, &request.invitation)?;
        let invitation = found.ok_or(EnrollReason::Unknown)?;
        if invitation.wrong >= MAX_WRONG_SECRETS {
            return Err(EnrollReason::Locked);
        }
        let shown = secret_hash(&request.invitation, &request.secret);
        if Secret::from_bytes(shown.0) != Secret::from_bytes(invitation.secret.0) {
            let wrong = invitation.wrong.saturating_add(1);
            let counted = Invitation { wrong, ..invitation.clone() };
            self.replace_invitation(&request.invitation, &invitation, &counted)?;
            return Err(EnrollReason::WrongSecret { wrong });
        }
        if invitation.name != request.name {
            return Err(EnrollReason::OtherName);
        }
        Ok(invitation)
    }

    /// One key a name, one name a key, for ever. A name that comes back with its own key gets a
    /// further certificate.
    fn check_unique(&self, name: &Name, key: &Fingerprint) -> Result<(), EnrollReason> {
        let key_of_name = self.record::<Fingerprint>(Table::Name, name.as_str().as_bytes())?;
        if key_of_name.is_some_and(|known| known != *key) {
            return Err(EnrollReason::NameTaken);
        }
        if self.transparency.is_revoked(key) {
            return Err(EnrollReason::Revoked);
        }
        let name_of_key = self.directory(key)?.map(|member| member.name);
        if name_of_key.is_some_and(|known| known != *name) {
            return Err(EnrollReason::KeyTaken);
        }
        Ok(())
    }

    /// Makes the certificate, then stages its directory record and its transparency entry.
    fn issue<E: From<AuthorityError> + From<StoreError>>(
        &mut self,
        csr: &VerifiedCsr,
        now: UnixMillis,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Issued, E> {
        let der = self.ca.issue_client(csr, csr.name(), now, rng)?;
        let certificate = self.ca.ca().verify_member(&der).map_err(AuthorityError::from)?;
        let (name, key) = (csr.name(), certificate.fingerprint());

        let index = self.transparency.push(&mut self.store, &Entry::issue(&certificate), now)?;
        let known = self.store.get(Table::Name, name.as_str().as_bytes())?;
        self.store.put(Table::Name, name.as_str().as_bytes(), known.as_deref(), &encode(&key))?;
        let known = self.store.get(Table::Member, &key.0)?;
        let member = Member { name: name.clone(), certificate: Blob(der.clone()) };
        self.store.put(Table::Member, &key.0, known.as_deref(), &encode(&member))?;
        Ok(Issued { key, certificate: Blob(der), index })
    }

    fn replace_invitation(
        &mut self,
        id: &[u8; 16],
        known: &Invitation,
        new: &Invitation,
    ) -> Result<(), StoreError> {
        self.store.put(Table::Invitation, id, Some(&encode(known)), &encode(new))
    }

    fn enrolled(&mut self, issued: Issued, now: UnixMillis) -> Enrolled {
        Enrolled {
            certificate: issued.certificate,
            ca: Blob(self.ca.shown().concat()),
            server_keys: Blob(self.server_keys.clone()),
            index: issued.index,
            head: Blob(self.transparency.head(now).to_vec()),
        }
    }
}

/// What the directory says of a key.
pub(crate) fn member(store: &impl Store, key: &Fingerprint) -> Result<Option<Member>, StoreError> {
    record(store, Table::Member, &key.0)
}

fn secret_hash(id: &[u8; 16], secret: &[u8; 16]) -> Digest {
    hash(Label::Invitation, &[id, secret])
}
