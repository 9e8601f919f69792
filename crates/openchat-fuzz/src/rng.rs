//! Randomness that is the same in every run.

use core::convert::Infallible;

use openchat_crypto::sha256;
use rand_core::{TryCryptoRng, TryRng};

/// SHA-256 of a seed and a counter, 32 bytes at a time.
#[derive(Debug, Clone)]
pub struct Random {
    seed: [u8; 32],
    counter: u64,
}

impl Random {
    /// Numbers that follow from these bytes.
    #[must_use]
    pub fn new(seed: &[u8]) -> Self {
        Self { seed: sha256(seed).0, counter: 0 }
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let number = u64::from_be_bytes(self.array()) % u64::try_from(end.max(1)).unwrap();
        usize::try_from(number).unwrap()
    }

    /// So many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.fill(&mut bytes);
        bytes
    }

    /// An array of bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, target: &mut [u8]) {
        for chunk in target.chunks_mut(32) {
            self.counter += 1;
            let block = sha256(&[&self.seed[..], &self.counter.to_be_bytes()].concat());
            chunk.copy_from_slice(&block.0[..chunk.len()]);
        }
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        self.fill(target);
        Ok(())
    }
}

impl TryCryptoRng for Random {}
