//! PEM (RFC 7468): the form in which keys and certificates stand in files, so that an operator's
//! usual tools read them. The base64 takes constant time, as some of it is secret.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Certificate,
    PrivateKey,
    /// A private key under a passphrase (RFC 7468 §11).
    SealedKey,
    /// The statement of the server's own keys.
    ServerKeys,
    /// A certification request of the CA to its root.
    Request,
}

/// The text is not one PEM block of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a PEM file with one {}", .0.text())]
pub(crate) struct PemError(Label);

impl Label {
    const fn text(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::PrivateKey => "PRIVATE KEY",
            Self::SealedKey => "ENCRYPTED PRIVATE KEY",
            Self::ServerKeys => "OPENCHAT SERVER KEYS",
            Self::Request => "CERTIFICATE REQUEST",
        }
    }

    fn begin(self) -> String {
        format!("-----BEGIN {}-----", self.text())
    }

    fn end(self) -> String {
        format!("-----END {}-----", self.text())
    }
}

/// Characters of base64 a line (RFC 7468 §2).
const LINE: usize = 64;

/// `der` as text.
pub(crate) fn encode(label: Label, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(Base64::encode_string(der));
    let room = body.len().saturating_mul(2).saturating_add(128);
    // Reserved at once: a string that grows leaves copies of a key behind.
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.push_str(&label.begin());
    for (i, c) in body.chars().enumerate() {
        if i % LINE == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    text.push('\n');
    text.push_str(&label.end());
    text.push('\n');
    text
}

/// The bytes in `text`.
///
/// # Errors
/// [`PemError`] for any other kind, several blocks, or damaged base64.
pub(crate) fn decode(label: Label, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let error = PemError(label);
    let text = std::str::from_utf8(text).map_err(|_| error)?.trim();
    let body = text
        .strip_prefix(&label.begin())
        .and_then(|rest| rest.strip_suffix(&label.end()))
        .ok_or(error)?;
    let mut packed = Zeroizing::new(String::with_capacity(body.len()));
    packed.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    Base64::decode_vec(&packed).map(Zeroizing::new).map_err(|_| error)
}

/// Whether the text begins as one of this kind.
pub(crate) fn is(label: Label, text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(label.begin().as_bytes())
}

/// All blocks of this kind that follow one another in `text`, at least one.
///
/// # Errors
/// [`PemError`] if there is anything else.
pub(crate) fn decode_all(label: Label, text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let error = PemError(label);
    let text = std::str::from_utf8(text).map_err(|_| error)?;
    let end = label.end();
    let blocks: Vec<&str> = text.split_inclusive(end.as_str()).collect();
    let filled = blocks.iter().filter(|block| !block.trim().is_empty());
    let decoded = filled.map(|block| Ok(decode(label, block.as_bytes())?.to_vec()));
    let decoded = decoded.collect::<Result<Vec<_>, _>>()?;
    if decoded.is_empty() { Err(error) } else { Ok(decoded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for len in [0, 1, 47, 48, 49, 500] {
            let der: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let text = encode(Label::PrivateKey, &der);
            assert_eq!(*decode(Label::PrivateKey, text.as_bytes()).unwrap(), der);
            assert!(text.lines().all(|line| line.len() <= 64));
        }
    }

    #[test]
    fn several_stand_in_one_file() {
        let two = format!(
            "{}{}",
            *encode(Label::Certificate, b"one"),
            *encode(Label::Certificate, b"two")
        );
        assert_eq!(decode_all(Label::Certificate, two.as_bytes()).unwrap(), [b"one", b"two"]);
        for bad in [String::new(), format!("{two}x"), two.replace("END", "EMD")] {
            assert!(decode_all(Label::Certificate, bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(is(Label::Certificate, two.as_bytes()) && !is(Label::SealedKey, two.as_bytes()));
    }

    #[test]
    fn others_are_refused() {
        let good = encode(Label::Certificate, b"der");
        for bad in [
            String::new(),
            good.replace("CERTIFICATE", "PRIVATE KEY"),
            good.replace("ZGVy", "ZGV?"),
            format!("{}{}", *good, *good),
            good.replace("-----END CERTIFICATE-----", ""),
        ] {
            assert_eq!(
                decode(Label::Certificate, bad.as_bytes()),
                Err(PemError(Label::Certificate)),
                "{bad}"
            );
        }
    }
}
