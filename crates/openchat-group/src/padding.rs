//! Padding that leaks at most O(log log n) bits of a length: Padmé buckets
//! (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", `PETS` 2019, §4).

/// Bytes of the content's length before it.
const LENGTH_BYTES: usize = 4;

/// `length: u32 big-endian ‖ content ‖ zeros`, up to the bucket's size.
pub(crate) fn pad(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut padded = length.to_be_bytes().to_vec();
    padded.extend_from_slice(content);
    padded.resize(bucket(padded.len()), 0);
    padded
}

/// The content, if this is its one padding.
pub(crate) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (content, zeros) = rest.split_at_checked(length)?;
    let size = length.checked_add(LENGTH_BYTES)?;
    (bucket(size) == padded.len() && zeros.iter().all(|byte| *byte == 0)).then_some(content)
}

/// The smallest length ≥ `len` whose last bits are zero: all but log2(log2(len)) + 1 of them.
fn bucket(len: usize) -> usize {
    let Some(exponent) = len.checked_ilog2().filter(|exponent| *exponent > 0) else {
        return len;
    };
    let kept_bits = exponent.ilog2().saturating_add(1);
    let mask = (1_usize << exponent.saturating_sub(kept_bits)).wrapping_sub(1);
    len.checked_add(mask).map_or(len, |sum| sum & !mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_paper() {
        for (len, expected) in
            [(0, 0), (1, 1), (8, 8), (9, 10), (100, 104), (1000, 1024), (16_000, 16_384)]
        {
            assert_eq!(bucket(len), expected, "{len}");
        }
    }

    #[test]
    fn another_padding_of_the_same_content_is_refused() {
        let padded = pad(b"hello, padding!");
        assert_eq!(unpad(&padded), Some(&b"hello, padding!"[..]));
        let mut longer = padded.clone();
        longer.push(0);
        assert_eq!(unpad(&longer), None);
        let mut dirty = padded;
        *dirty.last_mut().unwrap() = 1;
        assert_eq!(unpad(&dirty), None);
    }

    proptest::proptest! {
        #[test]
        fn pad_and_unpad(content: Vec<u8>) {
            let padded = pad(&content);
            proptest::prop_assert_eq!(unpad(&padded), Some(&content[..]));
            proptest::prop_assert!(padded.len() <= (content.len() + 4) * 9 / 8 + 1);
        }

        #[test]
        fn unpad_takes_any_bytes(bytes: Vec<u8>) {
            if let Some(content) = unpad(&bytes) {
                proptest::prop_assert_eq!(pad(content), bytes);
            }
        }
    }
}
