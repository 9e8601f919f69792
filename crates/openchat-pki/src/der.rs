//! The outermost layer of certificates and requests, read strictly.
//!
//! `x509-parser` lets trailing bytes pass, after a structure and inside it. The frame that carries
//! a signature is therefore split here, to the byte; the parser then sees what was signed.

/// A signed structure of X.509 and PKCS#10: `SEQUENCE { body, AlgorithmIdentifier, BIT STRING }`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// The signed bytes, header included.
    pub(crate) body: &'a [u8],
    /// The `AlgorithmIdentifier`, header included.
    pub(crate) algorithm: &'a [u8],
    /// The signature, without the bit string's header.
    pub(crate) signature: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Splits `der`; `None` unless it is exactly such a structure.
    pub(crate) fn split(der: &'a [u8]) -> Option<Self> {
        let content = only(SEQUENCE, der)?;
        let (body, rest) = element(SEQUENCE, content)?;
        let (algorithm, rest) = element(SEQUENCE, rest)?;
        let bits = only(BIT_STRING, rest)?;
        let (unused_bits, signature) = bits.split_first()?;
        (*unused_bits == 0).then_some(Self { body: body.raw, algorithm: algorithm.raw, signature })
    }
}

/// Certificates that stand one behind the other; `None` if what is there is anything else.
pub(crate) fn certificates(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (certificate, rest) = element(SEQUENCE, bytes)?;
        all.push(certificate.raw);
        bytes = rest;
    }
    Some(all)
}

/// ecdsa-with-SHA256 (RFC 5758 §3.2), the one algorithm of this PKI; parameters are absent.
pub(crate) const ECDSA_WITH_SHA256: &[u8] =
    &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

struct Element<'a> {
    raw: &'a [u8],
    content: &'a [u8],
}

/// The content of an element after which nothing follows.
fn only(tag: u8, input: &[u8]) -> Option<&[u8]> {
    let (element, rest) = element(tag, input)?;
    rest.is_empty().then_some(element.content)
}

/// The first element, which must have this tag, and what follows it.
fn element(tag: u8, input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (first, after_tag) = input.split_first()?;
    let (length, after_length) = length(after_tag)?;
    let (content, rest) = after_length.split_at_checked(length)?;
    let raw = input.get(..input.len().checked_sub(rest.len())?)?;
    (*first == tag).then_some((Element { raw, content }, rest))
}

/// A definite length in its shortest form (X.690 §10.1), of at most two octets: the caps on
/// certificates and requests stand far below 64 KiB.
fn length(input: &[u8]) -> Option<(usize, &[u8])> {
    match input {
        [short @ 0..=0x7f, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, long @ 0x80..=0xff, rest @ ..] => Some((usize::from(*long), rest)),
        [0x82, high @ 1..=0xff, low, rest @ ..] => {
            Some((usize::from(u16::from_be_bytes([*high, *low])), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(pieces: &[&[u8]]) -> Vec<u8> {
        let content = pieces.concat();
        [&[SEQUENCE, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
    }

    const BODY: &[u8] = &[0x30, 1, 7];
    const SIGNATURE: &[u8] = &[3, 3, 0, 1, 2];

    #[test]
    fn a_frame_is_split_to_the_byte() {
        let der = frame(&[BODY, ECDSA_WITH_SHA256, SIGNATURE]);
        let split = Frame::split(&der).unwrap();
        assert_eq!(split.body, BODY);
        assert_eq!(split.algorithm, ECDSA_WITH_SHA256);
        assert_eq!(split.signature, &[1, 2]);
    }

    #[test]
    fn trailing_bytes_are_refused_outside_and_inside() {
        let mut outside = frame(&[BODY, ECDSA_WITH_SHA256, SIGNATURE]);
        outside.push(0);
        assert!(Frame::split(&outside).is_none());
        assert!(Frame::split(&frame(&[BODY, ECDSA_WITH_SHA256, SIGNATURE, &[5, 0]])).is_none());
    }

    #[test]
    fn every_truncation_is_refused() {
        let der = frame(&[BODY, ECDSA_WITH_SHA256, SIGNATURE]);
        for end in 0..der.len() {
            assert!(Frame::split(&der[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn lengths_have_one_form() {
        assert_eq!(length(&[0x7f]), Some((127, [].as_slice())));
        assert_eq!(length(&[0x81, 0x80]), Some((128, [].as_slice())));
        assert_eq!(length(&[0x82, 1, 0, 9]), Some((256, [9].as_slice())));
        for other in [&[0x81, 0x7f][..], &[0x82, 0, 0xff], &[0x80], &[0x83, 1, 0, 0], &[]] {
            assert_eq!(length(other), None, "{other:?}");
        }
    }

    #[test]
    fn unused_bits_in_a_signature_are_refused() {
        assert!(Frame::split(&frame(&[BODY, ECDSA_WITH_SHA256, &[3, 3, 1, 1, 2]])).is_none());
    }
}
