//! Who this device is: its key from the moment it is made, and all that enrollment brought.

use super::{Vault, VaultError};
use openchat_crypto::IdentityKey;
use openchat_pki::CaCertificate;
use openchat_wire::{Digest, Name};
use rusqlite::{Connection, OptionalExtension, Row, params};
use zeroize::Zeroizing;

/// What enrollment brought. Every part was checked before it was stored.
#[derive(Clone)]
pub struct Identity {
    /// The name that the certificate gives.
    pub name: Name,
    /// The device's key in PKCS#8.
    pub key: Zeroizing<Vec<u8>>,
    /// The device's certificate in DER.
    pub certificate: Vec<u8>,
    /// The CA: [`CaCertificate::to_stored`](openchat_pki::CaCertificate::to_stored).
    pub ca: Vec<u8>,
    /// SHA-256 of the CA's `SubjectPublicKeyInfo`: as it came with the invitation, or where changes
    /// of its key have led since.
    pub ca_pin: Digest,
    /// `host:port`.
    pub server: String,
    /// The server's keys, stated under the CA's signature.
    pub server_keys: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} at {})", self.name, self.server)
    }
}

/// A key that is on the disk, so that it may be sent; and whether it was there before.
pub struct SavedKey {
    /// The key.
    pub key: IdentityKey,
    /// Whether it was made just now.
    pub new: bool,
}

impl Vault {
    /// Who this device is, once it is enrolled.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn identity(&self) -> Result<Option<Identity>, VaultError> {
        let mut one = self.database.prepare_cached(
            "SELECT name, key, certificate, ca, ca_pin, server, server_keys FROM identity",
        )?;
        one.query_row([], |row| Ok(read(row))).optional()?.transpose()
    }

    /// The key for `name`: of the enrolled identity, of an enrollment that was cut short, or from
    /// `make`. It is on the disk when this returns.
    ///
    /// # Errors
    /// The database's, or [`VaultError::Damaged`].
    pub fn key_for(
        &mut self,
        name: &Name,
        make: impl FnOnce() -> IdentityKey,
    ) -> Result<SavedKey, VaultError> {
        if let Some(stored) = stored_key(&self.database, name)? {
            let key = IdentityKey::from_pkcs8(&stored)
                .map_err(|_| VaultError::Damaged("the device's key"))?;
            return Ok(SavedKey { key, new: false });
        }
        let key = make();
        let mut save =
            self.database.prepare_cached("INSERT INTO saved_keys (name, key) VALUES (?1, ?2)")?;
        save.execute(params![name.as_str(), key.to_pkcs8().as_slice()])?;
        Ok(SavedKey { key, new: true })
    }

    /// Stores the CA that this device trusts from now on.
    ///
    /// # Errors
    /// The database's.
    pub fn follow(&mut self, ca: &CaCertificate) -> Result<(), VaultError> {
        let (stored, pin) = (ca.to_stored(), ca.pin());
        self.database
            .execute("UPDATE identity SET ca = ?1, ca_pin = ?2", params![stored, pin.0])?;
        Ok(())
    }

    /// Stores what enrollment brought, in place of what an earlier one did.
    ///
    /// # Errors
    /// The database's.
    pub fn enroll(&mut self, identity: &Identity) -> Result<(), VaultError> {
        let transaction = self.database.transaction()?;
        transaction.execute(
            "INSERT OR REPLACE INTO identity
             (one, name, key, certificate, ca, ca_pin, server, server_keys)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                identity.name.as_str(),
                identity.key.as_slice(),
                identity.certificate,
                identity.ca,
                identity.ca_pin.0,
                identity.server,
                identity.server_keys,
            ],
        )?;
        let kept = params![identity.name.as_str()];
        transaction.execute("DELETE FROM saved_keys WHERE name = ?1", kept)?;
        Ok(transaction.commit()?)
    }
}

impl Vault {
    /// Stores a further certificate of the same name and key.
    ///
    /// # Errors
    /// The database's.
    pub fn renew(&mut self, certificate: &[u8]) -> Result<(), VaultError> {
        self.database.execute("UPDATE identity SET certificate = ?1", params![certificate])?;
        Ok(())
    }
}

fn stored_key(
    database: &Connection,
    name: &Name,
) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
    let mut stored = database.prepare_cached(
        "SELECT key FROM identity WHERE name = ?1
         UNION ALL SELECT key FROM saved_keys WHERE name = ?1",
    )?;
    let key = stored.query_row([name.as_str()], |row| row.get(0).map(Zeroizing::new));
    Ok(key.optional()?)
}

fn read(row: &Row<'_>) -> Result<Identity, VaultError> {
    let name: String = row.get(0)?;
    Ok(Identity {
        name: name.parse().map_err(|_| VaultError::Damaged("the device's name"))?,
        key: Zeroizing::new(row.get(1)?),
        certificate: row.get(2)?,
        ca: row.get(3)?,
        ca_pin: Digest(row.get(4)?),
        server: row.get(5)?,
        server_keys: row.get(6)?,
    })
}
