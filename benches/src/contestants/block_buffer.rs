//! The published design: events are collected in a private block. Every 256th append computes XXH64
//! twice over the 16 KiB of the block and copies it into the mapping. A killed process loses the
//! events of its block. Nothing is synced.

use xxhash_rust::xxh64::xxh64;

use super::shared_memory::SharedMemory;
use super::Contestant;
use crate::abi::{Event, EVENT_SIZE};

const EVENTS: usize = 256;
const HEADER_SIZE: usize = 64;
const BLOCK_SIZE: usize = HEADER_SIZE + EVENTS * EVENT_SIZE;
const BLOCKS: usize = 4096;

pub struct BlockBuffer {
    memory: SharedMemory,
    block: Box<[Event; EVENTS]>,
    used: usize,
    next_block: usize,
    chained: u64,
}

impl BlockBuffer {
    pub fn new() -> Self {
        BlockBuffer {
            memory: SharedMemory::new(BLOCKS * BLOCK_SIZE),
            block: Box::new([Event::order(0); EVENTS]),
            used: 0,
            next_block: 0,
            chained: 0,
        }
    }

    #[inline(never)]
    fn flush(&mut self) {
        let size = EVENTS * EVENT_SIZE;
        let from = self.block.as_ptr().cast::<u8>();
        let to = self.memory.at(self.next_block * BLOCK_SIZE);
        // SAFETY: the bytes of the block (an event has no padding), and one block of the mapping.
        unsafe {
            let bytes = std::slice::from_raw_parts(from, size);
            let checksum = xxh64(bytes, 0);
            self.chained = xxh64(bytes, self.chained);
            to.cast::<[u64; 2]>().write([checksum, self.chained]);
            std::ptr::copy_nonoverlapping(from, to.add(HEADER_SIZE), size);
        }
        self.used = 0;
        self.next_block = (self.next_block + 1) % BLOCKS;
    }
}

impl Contestant for BlockBuffer {
    #[inline(always)]
    fn append(&mut self, event: &Event) {
        self.block[self.used] = *event;
        self.used += 1;
        if self.used == EVENTS {
            self.flush();
        }
    }
}
