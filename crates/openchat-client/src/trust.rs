//! The three trust words, which are the same on screens, in lines, in JSON and in the vault.

use openchat_engine::Trust;

/// The word for it.
#[must_use]
pub const fn word(trust: Trust) -> &'static str {
    match trust {
        Trust::Certified => "certified",
        Trust::Verified => "verified",
        Trust::Changed => "CHANGED",
    }
}

/// What the word stands for.
#[must_use]
pub fn of_word(text: &str) -> Option<Trust> {
    [Trust::Certified, Trust::Verified, Trust::Changed]
        .into_iter()
        .find(|trust| word(*trust) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for trust in [Trust::Certified, Trust::Verified, Trust::Changed] {
            assert_eq!(of_word(word(trust)), Some(trust));
        }
        assert_eq!(of_word("changed"), None);
    }
}
