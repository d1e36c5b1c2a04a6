//! The source of random choices: a seed, or the bytes that a fuzzer provides.

/// Numbers that choose between alternatives. The same seed or bytes give the same choices.
pub struct Source<'a> {
    bytes: &'a [u8],
    /// State of a xorshift generator; 0 = the bytes decide.
    state: u64,
}

/// Values that often break programs.
const INTERESTING: [u64; 18] = [
    0,
    1,
    2,
    63,
    64,
    255,
    256,
    257,
    4096,
    16_448,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    0x1_0000_0000,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

impl<'a> Source<'a> {
    pub fn seeded(seed: u64) -> Self {
        // Neighbouring seeds must not start alike, and the state must not be 0.
        let state = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Source { bytes: &[], state: state.rotate_left(29) }
    }

    /// Zeros once the bytes are used up.
    pub fn of_bytes(bytes: &'a [u8]) -> Self {
        Source { bytes, state: 0 }
    }

    /// The next number of this many bytes.
    fn number(&mut self, width: usize) -> u64 {
        if self.state != 0 {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            return self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> (64 - 8 * width);
        }
        let (taken, rest) = self.bytes.split_at(width.min(self.bytes.len()));
        self.bytes = rest;
        taken.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    pub fn word(&mut self) -> u64 {
        self.number(8)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        let width = match limit {
            0..=0xFF => 1,
            0x100..=0xFFFF => 2,
            _ => 4,
        };
        self.number(width) as usize % limit.max(1)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number that often breaks programs, one close to it, or any other.
    pub fn interesting(&mut self) -> u64 {
        match self.below(8) {
            0 => self.word(),
            1 => self.below(2048) as u64,
            2 => self.pick(&INTERESTING).wrapping_add(self.below(5) as u64).wrapping_sub(2),
            _ => self.pick(&INTERESTING),
        }
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.word().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}
