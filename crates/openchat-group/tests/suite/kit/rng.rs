//! Randomness that is the same in every run.

use core::convert::Infallible;

use openchat_crypto::sha256;
use rand_core::{TryCryptoRng, TryRng};

/// SHA-256 of a seed and a counter, 32 bytes at a time.
#[derive(Debug, Clone)]
pub(crate) struct TestRng {
    seed: [u8; 32],
    counter: u64,
}

impl TestRng {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed: sha256(&seed.to_be_bytes()).0, counter: 0 }
    }

    /// Other numbers for each of `index`.
    pub(crate) fn fork(&self, index: usize) -> Self {
        let bytes = [&self.seed[..], b"fork", &index.to_be_bytes()].concat();
        Self { seed: sha256(&bytes).0, counter: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        self.counter += 1;
        sha256(&[&self.seed[..], &self.counter.to_be_bytes()].concat()).0
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> Result<(), Infallible> {
        for chunk in target.chunks_mut(32) {
            let block = self.block();
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}
