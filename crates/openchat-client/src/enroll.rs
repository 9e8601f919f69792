//! From an invitation to a certificate: the key is made here and is on the disk before anything is
//! sent, so that an enrollment whose answer was lost is simply done again with the same key.

use crate::{
    ask::{AskError, ask},
    dial::{Address, AddressError, DialError, Dialer},
    outside::{now, os_random},
    tls,
    vault::{Identity, Vault, VaultError},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{
    CaCertificate, CaError, CsrError, HeadError, IssuedError, MemberCertificate, ServerKeys,
    SignedError, UnverifiedHead, certification_request, check_issued,
};
use openchat_wire::{
    Name, UnixMillis,
    enroll::{ALPN, EnrollAnswer, EnrollRefusal, EnrollRequest, Enrolled},
    invitation::Invitation,
    limits::{MAX_CERTIFICATE, MAX_ENROLL_FRAME},
};

/// Bytes of the CA's answer: two certificates, and statements that are far smaller than a request.
const MAX_ANSWER: usize = 2 * MAX_CERTIFICATE + MAX_ENROLL_FRAME;

/// What came of it.
#[derive(Debug)]
pub struct Enrollment {
    /// The certificate, checked.
    pub certificate: MemberCertificate,
    /// Index of this issue in the transparency log.
    pub index: u64,
    /// Whether the key was made just now.
    pub new_key: bool,
    /// When the certificate was received.
    pub at: UnixMillis,
}

/// Why this device has no (new) certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The profile is another person.
    #[error("this profile is {0}")]
    OtherName(Name),
    /// The profile belongs to a server with another CA than the invitation's.
    #[error("this profile belongs to another server, {0}")]
    OtherServer(String),
    /// The invitation's address is not one.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The server can't be reached, or is not the one that the invitation means.
    #[error("{address}: {cause}")]
    Dial {
        /// The server's address.
        address: String,
        /// What happened.
        cause: DialError,
    },
    /// The server said no.
    #[error("the server refused: {0}")]
    Refused(#[from] EnrollRefusal),
    /// What the server gave is not what it should have given. Nothing of it was stored.
    #[error("the server's answer can't be trusted: {0}")]
    Untrusted(#[from] AnswerFault),
    /// This device could not make its request.
    #[error("the certification request could not be made: {0}")]
    Request(#[from] CsrError),
}

/// What is wrong with the server's answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// Its CA.
    #[error("the CA's certificate: {0}")]
    Ca(#[from] CaError),
    /// The certificate it issued.
    #[error(transparent)]
    Issued(#[from] IssuedError),
    /// Its statement of its own keys.
    #[error("the server's keys: {0}")]
    ServerKeys(#[from] SignedError),
    /// Its transparency head.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The head is of a log that does not hold the entry.
    #[error("the certificate is not in the transparency log")]
    NotLogged,
}

/// Enrolls the person of this vault as `name`, or renews the certificate with the same key.
///
/// # Errors
/// [`EnrollError`]. The identity in the vault is unchanged then; a key that was made is kept.
pub async fn enroll(
    vault: &mut Vault,
    name: &Name,
    invitation: &Invitation,
) -> Result<Enrollment, EnrollError> {
    let earlier = vault.identity()?;
    check_same(earlier.as_ref(), name)?;
    if let Some(earlier) = earlier
        && earlier.ca_pin != invitation.ca_pin
    {
        return Err(EnrollError::OtherServer(earlier.server));
    }
    let saved = vault.key_for(name, || IdentityKey::generate(&mut os_random()))?;
    let answer = request(name, &saved.key, invitation).await?;
    let at = now();
    let certificate = check(&answer, name, &saved.key, invitation, at)?;
    vault.enroll(&Identity {
        name: name.clone(),
        key: saved.key.to_pkcs8(),
        certificate: answer.certificate.0,
        ca: answer.ca.0,
        ca_pin: invitation.ca_pin,
        server: invitation.address.clone(),
        server_keys: answer.server_keys.0,
    })?;
    Ok(Enrollment { certificate, index: answer.index, new_key: saved.new, at })
}

/// Whether this vault may (still) become `name`. Asked before an invitation is used up.
///
/// # Errors
/// [`EnrollError::OtherName`]
pub fn check_same(earlier: Option<&Identity>, name: &Name) -> Result<(), EnrollError> {
    match earlier {
        Some(identity) if identity.name != *name => {
            Err(EnrollError::OtherName(identity.name.clone()))
        }
        _ => Ok(()),
    }
}

async fn request(
    name: &Name,
    key: &IdentityKey,
    invitation: &Invitation,
) -> Result<Enrolled, EnrollError> {
    let request = EnrollRequest {
        name: name.clone(),
        invitation: invitation.id,
        secret: invitation.secret,
        csr: certification_request(key, name)?.into(),
    };
    let address: Address = invitation.address.parse()?;
    let answer = exchange(address, &request, invitation).await;
    let address = || invitation.address.clone();
    Ok(answer.map_err(|cause| EnrollError::Dial { address: address(), cause })??)
}

async fn exchange(
    address: Address,
    request: &EnrollRequest,
    invitation: &Invitation,
) -> Result<EnrollAnswer, DialError> {
    let tls = tls::config(ALPN, invitation.ca_pin, None)
        .map_err(|error| DialError::OwnIdentity(error.to_string()))?;
    let dialer = Dialer { address, pin: invitation.ca_pin, tls };
    let mut stream = dialer.dial().await?;
    ask(&mut stream, request, MAX_ANSWER).await.map_err(|error| dialer.ask_error(&error))
}

impl Dialer {
    /// What it means that a question was not answered.
    pub(crate) fn ask_error(&self, error: &AskError) -> DialError {
        match error {
            AskError::Stream(error) => self.read_error(error),
            AskError::Frame(_) => DialError::NotOpenchat,
            AskError::Late => DialError::Unreachable(error.to_string()),
        }
    }
}

/// Nothing is believed because the server says it: the CA by its pin, the certificate by the CA's
/// signature, its name and key by ours, the server's keys and head by theirs.
fn check(
    answer: &Enrolled,
    name: &Name,
    key: &IdentityKey,
    invitation: &Invitation,
    now: UnixMillis,
) -> Result<MemberCertificate, AnswerFault> {
    let ca = CaCertificate::pinned(answer.ca.as_ref(), &invitation.ca_pin)?;
    let certificate = check_issued(&ca, answer.certificate.as_ref(), name, key.public(), now)?;
    let keys = ServerKeys::verify(answer.server_keys.as_ref(), &ca)?;
    let head = UnverifiedHead::decode(answer.head.as_ref())?.verify(&keys.log_key, &keys.log_id)?;
    if answer.index < head.size { Ok(certificate) } else { Err(AnswerFault::NotLogged) }
}
