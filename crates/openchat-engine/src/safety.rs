//! What two people compare to know that nobody stands between them (`docs/protocol.md` §9.3).

use core::{fmt, str::FromStr};

use openchat_crypto::{Label, hash};
use openchat_wire::{Fingerprint, Name};

/// Groups of five digits of one person.
const GROUPS: usize = 6;

/// One more than the largest group.
const MODULUS: u64 = 100_000;

/// The 60 digits of two people: the same on both sides exactly if both hold the same two keys under
/// the same two names. Nothing in it changes by itself.
///
/// A person's half is `H("safety number" ‖ name ‖ fpr)`, its first 30 bytes read as six numbers of
/// five bytes, big-endian, each modulo 100,000. The half of the name that sorts first comes first. To
/// find a key whose half equals a given one takes about 2⁹⁹ keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SafetyNumber([u32; 2 * GROUPS]);

/// A name and the key that is taken for its.
pub(crate) type Side<'a> = (&'a Name, &'a Fingerprint);

/// What was typed is no safety number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a safety number has 60 digits; spaces and dashes between them do not matter")]
pub struct SafetyNumberError;

impl SafetyNumber {
    /// That of two people, in any order.
    pub(crate) fn of(one: Side<'_>, other: Side<'_>) -> Self {
        let (first, second) = sorted(one, other);
        let mut digits = [0; 2 * GROUPS];
        let halves = half(first).into_iter().chain(half(second));
        digits.iter_mut().zip(halves).for_each(|(digit, value)| *digit = value);
        Self(digits)
    }
}

/// What a picture of the safety number says: `openchat:v1:NAME:KEY:NAME:KEY`, keys in hexadecimal,
/// the name that sorts first in front.
pub(crate) fn safety_text(one: Side<'_>, other: Side<'_>) -> String {
    let ((first, key), (second, other)) = sorted(one, other);
    format!("openchat:v1:{first}:{key}:{second}:{other}")
}

fn sorted<'a>(one: Side<'a>, other: Side<'a>) -> (Side<'a>, Side<'a>) {
    if one.0 <= other.0 { (one, other) } else { (other, one) }
}

fn half((name, key): Side<'_>) -> [u32; GROUPS] {
    let digest = hash(Label::SafetyNumber, &[name.as_str().as_bytes(), &key.0]);
    let (pieces, _) = digest.0.as_chunks::<5>();
    let mut groups = [0; GROUPS];
    groups.iter_mut().zip(pieces).for_each(|(group, piece)| {
        let number = piece.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        *group = u32::try_from(number % MODULUS).unwrap_or_default();
    });
    groups
}

impl fmt::Display for SafetyNumber {
    /// Twelve groups, with spaces between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{group:05}")?;
        }
        Ok(())
    }
}

impl FromStr for SafetyNumber {
    type Err = SafetyNumberError;

    fn from_str(text: &str) -> Result<Self, SafetyNumberError> {
        let mut digits = Vec::with_capacity(10 * GROUPS);
        for char in text.chars().filter(|char| !char.is_whitespace() && *char != '-') {
            let digit = char.to_digit(10).filter(|_| digits.len() < 10 * GROUPS);
            digits.push(digit.ok_or(SafetyNumberError)?);
        }
        let (groups, rest) = digits.as_chunks::<5>();
        let mut number = [0; 2 * GROUPS];
        if groups.len() != number.len() || !rest.is_empty() {
            return Err(SafetyNumberError);
        }
        number.iter_mut().zip(groups).for_each(|(group, digits)| {
            *group =
                digits.iter().fold(0_u32, |sum, digit| sum.wrapping_mul(10).wrapping_add(*digit));
        });
        Ok(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    const ONE: Fingerprint = Fingerprint([1; 32]);
    const TWO: Fingerprint = Fingerprint([2; 32]);

    #[test]
    fn is_what_the_specification_says() {
        let (alice, bob) = (name("alice"), name("bob"));
        let number = SafetyNumber::of((&bob, &TWO), (&alice, &ONE));
        // Made by another program from the formula above.
        let known = "79893 46286 71750 91460 57414 24547 \
                     37955 26492 30737 11747 45302 48786";
        assert_eq!(number.to_string(), known);
        let text = safety_text((&bob, &TWO), (&alice, &ONE));
        assert_eq!(text, format!("openchat:v1:alice:{ONE}:bob:{TWO}"));
    }

    #[test]
    fn both_sides_see_the_same_and_nobody_else_does() {
        let (alice, bob) = (name("alice"), name("bob"));
        let number = SafetyNumber::of((&alice, &ONE), (&bob, &TWO));
        assert_eq!(number, SafetyNumber::of((&bob, &TWO), (&alice, &ONE)));
        for other in [
            SafetyNumber::of((&alice, &TWO), (&bob, &ONE)),
            SafetyNumber::of((&alice, &ONE), (&bob, &Fingerprint([3; 32]))),
            SafetyNumber::of((&alice, &ONE), (&name("bobb"), &TWO)),
        ] {
            assert_ne!(number, other);
        }
    }

    #[test]
    fn is_read_however_it_was_written() {
        let number = SafetyNumber::of((&name("alice"), &ONE), (&name("bob"), &TWO));
        let shown = number.to_string();
        assert_eq!(shown.len(), 71);
        for written in [shown.clone(), shown.replace(' ', ""), shown.replace(' ', " - ")] {
            assert_eq!(written.parse(), Ok(number));
        }
        let longer = format!("{shown}0");
        for wrong in ["", "12345", &shown[1..], &longer, &shown.replace(' ', "x"), "٣"] {
            assert_eq!(wrong.parse::<SafetyNumber>(), Err(SafetyNumberError), "{wrong}");
        }
    }
}
