//! From an invitation to a certificate: the key is made here and is on the disk before anything is
//! sent, so that an enrollment whose answer was lost is simply done again with the same key.

use crate::{
    ask::{AskError, ask},
    authority,
    device::{self, DeviceError},
    dial::{Address, AddressError, DialError, Dialer, Dialled},
    outside::{now, os_random},
    tls,
    vault::{Identity, Vault, VaultError},
};
use openchat_crypto::{IdentityKey, PublicKey};
use openchat_pki::{
    CaCertificate, CaError, CsrError, HeadError, IssuedError, MAX_SHOWN, MemberCertificate,
    ServerKeys, SignedError, UnverifiedCsr, UnverifiedHead, certification_request, check_issued,
};
use openchat_wire::{
    Digest, Name, UnixMillis,
    enroll::{ALPN, EnrollAnswer, EnrollRefusal, EnrollRequest, Enrolled},
    invitation::Invitation,
    limits::{MAX_CERTIFICATE, MAX_ENROLL_FRAME},
};

/// Bytes of the CA's answer: a certificate and those of the CA, and statements that are far smaller than
/// a request.
const MAX_ANSWER: usize = (1 + MAX_SHOWN) * MAX_CERTIFICATE + MAX_ENROLL_FRAME;

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
    /// Nobody is enrolled whose CA could change.
    #[error("this profile is not enrolled")]
    NotEnrolled,
    /// What this device has stored can't be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The invitation is of another CA than its person has accepted.
    #[error("the invitation is of the CA SHA256:{invited}, and not of SHA256:{given}")]
    OtherPin {
        /// The pin that the person gave.
        given: Digest,
        /// The pin in the invitation.
        invited: Digest,
    },
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
    /// Its keys are not those that this device knows: another server, or another log than its own.
    #[error("the server signs with other keys than those that this device knows")]
    OtherKeys,
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
    enroll_under(vault, name, invitation, earlier, false).await
}

/// A certificate for a key that is not this program's.
#[derive(Debug)]
pub struct Certified {
    /// The certificate, checked.
    pub certificate: MemberCertificate,
    /// The same in DER.
    pub der: Vec<u8>,
    /// The CA's certificates in DER, which lead from it to the pinned key.
    pub ca: Vec<Vec<u8>>,
    /// Index of this issue in the transparency log.
    pub index: u64,
}

/// Gets a certificate for the key of a certification request that another program made, whatever it
/// keeps the key in. Nothing is stored here.
///
/// # Errors
/// [`EnrollError`]
pub async fn certify(
    name: &Name,
    csr: &[u8],
    invitation: &Invitation,
) -> Result<Certified, EnrollError> {
    let key = *UnverifiedCsr::decode(csr)?.verify_for(name)?.public_key();
    let answer = request(name, csr.to_vec(), invitation, None).await?;
    let checked = check(&answer, name, &key, invitation, now())?;
    Ok(Certified {
        certificate: checked.certificate,
        der: answer.certificate.0,
        ca: checked.ca.chain().map(<[u8]>::to_vec).collect(),
        index: answer.index,
    })
}

/// Accepts that the server's CA has another key, which nothing leads to from the one that this device
/// trusts, because its person has the new pin by a way that did not lead through the server; and
/// enrolls under it with the key that this device has.
///
/// # Errors
/// [`EnrollError`]. Everything is as it was then.
pub async fn accept(
    vault: &mut Vault,
    pin: &Digest,
    invitation: &Invitation,
) -> Result<Enrollment, EnrollError> {
    let earlier = vault.identity()?.ok_or(EnrollError::NotEnrolled)?;
    if invitation.ca_pin != *pin {
        return Err(EnrollError::OtherPin { given: *pin, invited: invitation.ca_pin });
    }
    let name = earlier.name.clone();
    enroll_under(vault, &name, invitation, Some(earlier), true).await
}

async fn enroll_under(
    vault: &mut Vault,
    name: &Name,
    invitation: &Invitation,
    earlier: Option<Identity>,
    accepted: bool,
) -> Result<Enrollment, EnrollError> {
    let known = earlier.as_ref().map(known).transpose()?;
    let saved = vault.key_for(name, || IdentityKey::generate(&mut os_random()))?;
    let before = known.as_ref().filter(|_| !accepted);
    let csr = certification_request(&saved.key, name)?;
    let answer = request(name, csr, invitation, before).await?;
    let at = now();
    let checked = check(&answer, name, saved.key.public(), invitation, at)?;
    if known.as_ref().is_some_and(|known| known.keys != checked.keys) {
        return Err(AnswerFault::OtherKeys.into());
    }
    let ca = match known {
        Some(known) => checked.ca.after(&known.ca),
        None => checked.ca,
    };
    vault.enroll(&Identity {
        name: name.clone(),
        key: saved.key.to_pkcs8(),
        certificate: answer.certificate.0,
        ca: ca.to_stored(),
        ca_pin: ca.pin(),
        server: invitation.address.clone(),
        server_keys: answer.server_keys.0,
    })?;
    let (certificate, index) = (checked.certificate, answer.index);
    Ok(Enrollment { certificate, index, new_key: saved.new, at })
}

/// What this device knows of its server.
struct Known {
    server: String,
    ca: CaCertificate,
    keys: ServerKeys,
}

fn known(earlier: &Identity) -> Result<Known, EnrollError> {
    Ok(Known {
        server: earlier.server.clone(),
        ca: device::ca(earlier)?,
        keys: device::server_keys(earlier)?,
    })
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
    csr: Vec<u8>,
    invitation: &Invitation,
    before: Option<&Known>,
) -> Result<Enrolled, EnrollError> {
    let request = EnrollRequest {
        name: name.clone(),
        invitation: invitation.id,
        secret: invitation.secret,
        csr: csr.into(),
    };
    let address: Address = invitation.address.parse()?;
    let failed = |cause| EnrollError::Dial { address: invitation.address.clone(), cause };
    let dialer = dialer(address, invitation).map_err(failed)?;
    let other = |known: &Known| EnrollError::OtherServer(known.server.clone());
    let strange = before.filter(|known| known.ca.pin() != invitation.ca_pin);
    // Who does not answer shows nothing that leads from one pin to the other.
    let unknown = |cause| strange.map_or_else(|| failed(cause), other);
    let Dialled { mut stream, shown } = dialer.dial().await.map_err(unknown)?;
    if let Some(before) = before
        && authority::shown(&shown.certificates, &before.ca.pin(), now()).is_err()
    {
        return Err(other(before));
    }
    let answer: Result<EnrollAnswer, _> = ask(&mut stream, &request, MAX_ANSWER).await;
    Ok(answer.map_err(|error| failed(dialer.ask_error(&error)))??)
}

fn dialer(address: Address, invitation: &Invitation) -> Result<Dialer, DialError> {
    let tls = tls::config(ALPN, invitation.ca_pin, None)
        .map_err(|error| DialError::OwnIdentity(error.to_string()))?;
    Ok(Dialer { address, tls })
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

/// An answer that was checked.
struct Checked {
    ca: CaCertificate,
    certificate: MemberCertificate,
    keys: ServerKeys,
}

/// Nothing is believed because the server says it: the CA by its pin, the certificate by the CA's
/// signature, its name and key by ours, the server's keys and head by theirs.
fn check(
    answer: &Enrolled,
    name: &Name,
    key: &PublicKey,
    invitation: &Invitation,
    now: UnixMillis,
) -> Result<Checked, AnswerFault> {
    let ca = CaCertificate::shown_in(answer.ca.as_ref(), &invitation.ca_pin, now)?;
    let certificate = check_issued(&ca, answer.certificate.as_ref(), name, key, now)?;
    let keys = ServerKeys::verify(answer.server_keys.as_ref(), &ca)?;
    let head = UnverifiedHead::decode(answer.head.as_ref())?.verify(&keys.log_key, &keys.log_id)?;
    if answer.index >= head.size {
        return Err(AnswerFault::NotLogged);
    }
    Ok(Checked { ca, certificate, keys })
}
