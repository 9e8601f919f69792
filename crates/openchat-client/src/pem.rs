//! Requests and certificates in the form of other programs' files (RFC 7468).

use base64ct::{Base64, Encoding};
use rustls::pki_types::{CertificateSigningRequestDer, pem::PemObject};

/// Characters of base64 a line.
const LINE: usize = 64;

/// A certification request in PEM or in DER, as DER. What is neither is refused by who reads it.
#[must_use]
pub fn request(file: &[u8]) -> Vec<u8> {
    CertificateSigningRequestDer::from_pem_slice(file)
        .map_or_else(|_| file.to_vec(), |der| der.to_vec())
}

/// A certificate as text.
#[must_use]
pub fn certificate(der: &[u8]) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----".to_owned();
    for (at, c) in Base64::encode_string(der).chars().enumerate() {
        if at % LINE == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    text.push_str("\n-----END CERTIFICATE-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::CertificateDer;

    #[test]
    fn a_certificate_is_read_as_it_was_written() {
        for length in [1, 48, 49, 1_000] {
            let der: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let text = certificate(&der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(CertificateDer::from_pem_slice(text.as_bytes()).unwrap().as_ref(), der);
        }
    }

    #[test]
    fn a_request_comes_in_either_form() {
        let pem = certificate(b"abc").replace("CERTIFICATE", "CERTIFICATE REQUEST");
        assert_eq!(request(pem.as_bytes()), b"abc");
        assert_eq!(request(b"\x30\x00"), b"\x30\x00");
    }
}
