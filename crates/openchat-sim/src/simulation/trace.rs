//! What has happened, as one hash.

use openchat_crypto::sha256;
use openchat_wire::Digest;

/// A chain of hashes over what was decoded, in the order in which it happened. What only libraries
/// draw by themselves has no part in it: Fernet's IVs, signatures, and the bytes that hold them.
#[derive(Debug)]
pub(crate) struct Trace {
    state: Digest,
    lines: u64,
    shown: bool,
}

impl Trace {
    /// An empty one; `shown` prints each line, to find where two runs part.
    pub(crate) fn new(shown: bool) -> Self {
        Self { state: Digest([0; 32]), lines: 0, shown }
    }

    #[expect(clippy::print_stderr, reason = "asked for, to look at one seed closely")]
    pub(crate) fn note(&mut self, now: u64, line: &str) {
        if self.shown {
            eprintln!("{now:>9} {line}");
        }
        let bytes = [&self.state.0[..], &now.to_be_bytes(), line.as_bytes()].concat();
        self.state = sha256(&bytes);
        self.lines += 1;
    }

    pub(crate) const fn hash(&self) -> Digest {
        self.state
    }

    pub(crate) const fn lines(&self) -> u64 {
        self.lines
    }
}
