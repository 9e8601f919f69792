//! What the vault holds of this device, in the forms that TLS and the engine want.

use crate::{
    dial::{AddressError, Dialer},
    tls::{self, ClientIdentity},
    vault::Identity,
};
use openchat_crypto::{IdentityKey, InvalidKey};
use openchat_engine::Device;
use openchat_pki::{
    CaCertificate, CaError, MemberCertificate, MemberError, Origin, ServerKeys, SignedError,
};
use openchat_wire::relay::ALPN;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// Why the stored identity can't be used. All of it was checked at enrollment, so the vault is
/// damaged, or was changed by somebody else.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The key.
    #[error("the stored key: {0}")]
    Key(#[from] InvalidKey),
    /// The CA's certificate.
    #[error("the stored CA: {0}")]
    Ca(#[from] CaError),
    /// The device's certificate.
    #[error("the stored certificate: {0}")]
    Certificate(#[from] MemberError),
    /// The server's keys.
    #[error("the stored server keys: {0}")]
    ServerKeys(#[from] SignedError),
    /// The server's address.
    #[error("the stored address: {0}")]
    Address(#[from] AddressError),
    /// TLS does not take key and certificate.
    #[error("the stored key and certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// The device's certificate, read.
///
/// # Errors
/// [`DeviceError`]
pub fn certificate(identity: &Identity) -> Result<MemberCertificate, DeviceError> {
    Ok(ca(identity)?.verify_member(&identity.certificate)?)
}

/// The CA that this device trusts.
///
/// # Errors
/// [`DeviceError::Ca`]
pub fn ca(identity: &Identity) -> Result<CaCertificate, DeviceError> {
    Ok(CaCertificate::stored(&identity.ca, &identity.ca_pin)?)
}

/// The keys that the server signs with. They were learned at the first enrollment and stay.
///
/// # Errors
/// [`DeviceError`]
pub fn server_keys(identity: &Identity) -> Result<ServerKeys, DeviceError> {
    Ok(ServerKeys::verify_stored(&identity.server_keys, &ca(identity)?)?)
}

/// What the CA calls itself.
///
/// # Errors
/// [`DeviceError`]
pub fn authority(identity: &Identity) -> Result<String, DeviceError> {
    Ok(ca(identity)?.common_name().unwrap_or_default().to_owned())
}

/// The way to the messenger.
pub(crate) fn dialer(identity: &Identity) -> Result<Dialer, DeviceError> {
    let shown = ClientIdentity {
        certificate: identity.certificate.clone(),
        key: PrivatePkcs8KeyDer::from(identity.key.to_vec()),
    };
    Ok(Dialer {
        address: identity.server.parse()?,
        tls: tls::config(ALPN, identity.ca_pin, Some(shown))?,
    })
}

/// What the engine needs to know of the device.
pub(crate) fn device(identity: &Identity) -> Result<Device, DeviceError> {
    let ca = ca(identity)?;
    Ok(Device {
        name: identity.name.clone(),
        key: IdentityKey::from_pkcs8(&identity.key)?,
        certificate: identity.certificate.clone(),
        server_keys: server_keys(identity)?,
        origin: Origin::new(&ca, &identity.server_keys),
        ca,
    })
}
