use std::hash::{BuildHasher, Hasher, RandomState};

/// Numbers that look random and are the same for the same seed (SplitMix64). They make keys for tests, which
/// protect nothing.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to `below` - 1; 0 if `below` is 0.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        self.next().checked_rem(below).unwrap_or(0)
    }

    /// Returns bytes of which none is zero.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 24) as u8 | 1).collect()
    }
}

/// Returns a seed that nobody else has. `RandomState` is the only source of random bytes in `std`.
pub(super) fn some_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
