//! The clock and the randomness that everything below is handed.

use getrandom::{SysRng, rand_core::UnwrapErr};
use openchat_crypto::CryptoRng;
use openchat_wire::UnixMillis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now. A clock before 1970 reads as 1970, which no certificate is valid at.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The operating system's randomness. It panics if the system has none, because a server without
/// randomness must not go on.
pub(crate) fn rng() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use getrandom::rand_core::Rng;

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(now() > UnixMillis(1_763_000_000_000));
    }

    #[test]
    fn randomness_differs() {
        assert_ne!(rng().next_u64(), rng().next_u64());
    }
}
