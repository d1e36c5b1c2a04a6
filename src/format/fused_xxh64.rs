//! XXH64 of the same bytes under two seeds, in one pass.
//!
//! Every block has two checksums of the same events: one from seed 0, one from the chained checksum
//! before it. XXH64 runs four lanes over 32-byte stripes: `lane = rotl(lane + word * P2, 31) * P1`.
//! The loads and `word * P2` do not depend on the seed, so the two hashes share them, and the eight
//! chains of multiplications, which one after the other would wait for the multiplier's latency,
//! fill its pipeline together. Measured on 16 KiB: docs/experiments/durable.md.

const P1: u64 = 0x9E37_79B1_85EB_CA87;
const P2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const P3: u64 = 0x1656_67B1_9E37_79F9;
const P4: u64 = 0x85EB_CA77_C2B2_AE63;
const P5: u64 = 0x27D4_EB2F_1656_67C5;

/// Bytes that the four lanes take at a time.
const STRIPE: usize = 32;

/// `XXH64(bytes, seed_a)` and `XXH64(bytes, seed_b)`.
pub fn xxh64_pair(bytes: &[u8], seed_a: u64, seed_b: u64) -> (u64, u64) {
    let stripes = bytes.chunks_exact(STRIPE);
    let tail = stripes.remainder();
    let (mut a, mut b) = (Lanes::new(seed_a), Lanes::new(seed_b));
    for stripe in stripes {
        for lane in 0..4 {
            let input = word(&stripe[lane * 8..]).wrapping_mul(P2);
            a.0[lane] = scramble(a.0[lane].wrapping_add(input));
            b.0[lane] = scramble(b.0[lane].wrapping_add(input));
        }
    }
    let is_short = bytes.len() < STRIPE;
    let end = |lanes: Lanes, seed: u64| {
        let hash = if is_short { seed.wrapping_add(P5) } else { lanes.merge() };
        finish(hash.wrapping_add(bytes.len() as u64), tail)
    };
    (end(a, seed_a), end(b, seed_b))
}

/// The state of one hash.
struct Lanes([u64; 4]);

impl Lanes {
    fn new(seed: u64) -> Self {
        let first = seed.wrapping_add(P1).wrapping_add(P2);
        Lanes([first, seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)])
    }

    fn merge(self) -> u64 {
        let [a, b, c, d] = self.0;
        let sum = [a.rotate_left(1), b.rotate_left(7), c.rotate_left(12), d.rotate_left(18)]
            .into_iter()
            .fold(0, u64::wrapping_add);
        self.0.into_iter().fold(sum, |hash, lane| {
            let mixed = hash ^ scramble(lane.wrapping_mul(P2));
            mixed.wrapping_mul(P1).wrapping_add(P4)
        })
    }
}

/// The rest of a round, after the lane and `word * P2` have been added.
#[inline(always)]
fn scramble(sum: u64) -> u64 {
    sum.rotate_left(31).wrapping_mul(P1)
}

/// Takes in what is left behind the last stripe, and mixes.
fn finish(mut hash: u64, tail: &[u8]) -> u64 {
    let words = tail.chunks_exact(8);
    let mut rest = words.remainder();
    for bytes in words {
        hash ^= scramble(word(bytes).wrapping_mul(P2));
        hash = hash.rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
    }
    if let Some((half, bytes)) = rest.split_first_chunk() {
        hash ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(P1);
        hash = hash.rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        rest = bytes;
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(P5);
        hash = hash.rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

#[inline(always)]
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::xxh64;

    /// Numbers that look random and are the same in every run.
    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(P5);
        scramble(*state ^ (*state >> 29))
    }

    #[track_caller]
    fn assert_is_xxh64(bytes: &[u8], seed_a: u64, seed_b: u64) {
        let wanted = (xxh64(bytes, seed_a), xxh64(bytes, seed_b));
        let seen = xxh64_pair(bytes, seed_a, seed_b);
        assert_eq!(seen, wanted, "{} bytes, seeds {seed_a:#x} and {seed_b:#x}", bytes.len());
    }

    #[test]
    fn both_are_xxh64_at_every_length_and_alignment() {
        let mut state = 1;
        let bytes: Vec<u8> = (0..400).map(|_| random(&mut state) as u8).collect();
        for len in 0..=300 {
            for start in 0..16 {
                assert_is_xxh64(&bytes[start..start + len], 0, random(&mut state));
            }
        }
    }

    #[test]
    fn both_are_xxh64_of_long_inputs_under_any_seeds() {
        let mut state = 2;
        let bytes: Vec<u8> = (0..70_000).map(|_| random(&mut state) as u8).collect();
        for _ in 0..500 {
            let start = random(&mut state) as usize % 64;
            let len = random(&mut state) as usize % (bytes.len() - 64);
            let (a, b) = (random(&mut state), random(&mut state));
            assert_is_xxh64(&bytes[start..start + len], a, b);
        }
        assert_is_xxh64(&bytes[..16_384], u64::MAX, 0);
    }
}
