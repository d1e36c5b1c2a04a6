//! The event: 64 bytes, of which the library interprets only the id.

use std::mem::{align_of, offset_of, size_of};

use super::primitives::{le_u32, le_u64};

/// Bytes of an event.
pub const EVENT_SIZE: usize = 64;
/// Highest event id; 0 and `u64::MAX` are not ids.
pub const MAX_EVENT_ID: u64 = u64::MAX - 1;

/// A request as the engine hands it in and gets it back, byte for byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RequestEvent {
    /// Strictly increasing over the whole life of the log, never 0 nor 2^64-1. The library's
    /// commit word: it becomes visible after the other 56 bytes.
    pub event_id: u64,
    /// Nanoseconds; the library does not interpret it.
    pub timestamp: u64,
    /// Scaled ticks.
    pub price: i64,
    /// Scaled ticks.
    pub quantity: i64,
    /// The user.
    pub user_id: u32,
    /// The order.
    pub order_id: u32,
    /// 0 new, 1 modify price, 2 modify quantity, 3 cancel.
    pub r#type: u8,
    /// 0 limit, 1 market.
    pub order_type: u8,
    /// 0 bid, 1 ask.
    pub side: u8,
    /// Stored and given back verbatim.
    pub reserved: [u8; 21],
}

const _: () = assert!(size_of::<RequestEvent>() == EVENT_SIZE);
const _: () = assert!(align_of::<RequestEvent>() == 8);
const _: () = assert!(offset_of!(RequestEvent, timestamp) == 8);
const _: () = assert!(offset_of!(RequestEvent, price) == 16);
const _: () = assert!(offset_of!(RequestEvent, quantity) == 24);
const _: () = assert!(offset_of!(RequestEvent, user_id) == 32);
const _: () = assert!(offset_of!(RequestEvent, order_id) == 36);
const _: () = assert!(offset_of!(RequestEvent, r#type) == 40);
const _: () = assert!(offset_of!(RequestEvent, order_type) == 41);
const _: () = assert!(offset_of!(RequestEvent, side) == 42);
const _: () = assert!(offset_of!(RequestEvent, reserved) == 43);

impl RequestEvent {
    /// The event in `bytes`.
    pub fn decode(bytes: &[u8; EVENT_SIZE]) -> Self {
        let mut reserved = [0; 21];
        reserved.copy_from_slice(&bytes[43..]);
        RequestEvent {
            event_id: le_u64(bytes, 0),
            timestamp: le_u64(bytes, 8),
            price: le_u64(bytes, 16) as i64,
            quantity: le_u64(bytes, 24) as i64,
            user_id: le_u32(bytes, 32),
            order_id: le_u32(bytes, 36),
            r#type: bytes[40],
            order_type: bytes[41],
            side: bytes[42],
            reserved,
        }
    }

    /// The bytes of the event.
    pub fn encode(&self) -> [u8; EVENT_SIZE] {
        let mut bytes = [0; EVENT_SIZE];
        bytes[0..8].copy_from_slice(&self.event_id.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.price.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.quantity.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.user_id.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.order_id.to_le_bytes());
        bytes[40] = self.r#type;
        bytes[41] = self.order_type;
        bytes[42] = self.side;
        bytes[43..].copy_from_slice(&self.reserved);
        bytes
    }
}
