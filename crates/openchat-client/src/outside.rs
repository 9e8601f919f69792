//! The two things only the world outside can give: the time, and randomness.

use getrandom::{
    SysRng,
    rand_core::{Rng, UnwrapErr},
};
use openchat_wire::{MessageId, UnixMillis};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the system's clock says now. A clock before 1970 reads as 1970.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The operating system's randomness. Where it fails the program ends: no key made after that
/// would be secret.
pub type OsRandom = UnwrapErr<SysRng>;

/// The operating system's randomness.
#[must_use]
pub const fn os_random() -> OsRandom {
    UnwrapErr(SysRng)
}

/// A new message's name.
#[must_use]
pub fn message_id() -> MessageId {
    let mut id = [0; 16];
    os_random().fill_bytes(&mut id);
    MessageId(id)
}

/// Between half of `duration` and all of it, so that many clients do not come back at once.
#[must_use]
pub fn jittered(duration: Duration, rng: &mut impl openchat_crypto::CryptoRng) -> Duration {
    duration.mul_f64(0.5 + 0.5 * f64::from(rng.next_u32()) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let whole = Duration::from_secs(4);
        for _ in 0..1000 {
            let drawn = jittered(whole, &mut os_random());
            assert!((whole / 2..=whole).contains(&drawn), "{drawn:?}");
        }
    }
}
