//! The event: 64 bytes, of which the library interprets only the id.

use super::fields::fields;

/// Bytes of an event.
pub const EVENT_SIZE: usize = 64;
/// Highest event id; 0 and `u64::MAX` are not ids.
pub const MAX_EVENT_ID: u64 = u64::MAX - 1;

/// A request, as the engine passes it in and gets it back, byte for byte. 64 bytes, aligned to 8.
/// The library interprets `event_id` alone; the meanings of the other fields are a convention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RequestEvent {
    /// Rises over the whole life of the log, with gaps if you like; never 0 nor 2^64-1. The
    /// library stores it after the other 56 bytes, and so makes the event exist.
    pub event_id: u64,
    /// Time of the request in nanoseconds, from a clock of the engine's choice.
    pub timestamp: u64,
    /// Price in scaled ticks: an integer, in a unit of the engine's choice.
    pub price: i64,
    /// Quantity in scaled ticks, in a unit of the engine's choice.
    pub quantity: i64,
    /// Who sent the request.
    pub user_id: u32,
    /// The order that the request creates, modifies or cancels.
    pub order_id: u32,
    /// 0 new, 1 modify price, 2 modify quantity, 3 cancel.
    pub r#type: u8,
    /// 0 limit, 1 market.
    pub order_type: u8,
    /// 0 bid, 1 ask.
    pub side: u8,
    /// Free for the engine.
    pub reserved: [u8; 21],
}

const _: () = assert!(std::mem::align_of::<RequestEvent>() == 8);

fields! { RequestEvent, EVENT_SIZE:
    0 event_id,
    8 timestamp,
    16 price,
    24 quantity,
    32 user_id,
    36 order_id,
    40 r#type,
    41 order_type,
    42 side,
    43 reserved,
}

impl RequestEvent {
    /// The event in `bytes`.
    pub fn decode(bytes: &[u8; EVENT_SIZE]) -> Self {
        Self::from_bytes(bytes)
    }

    /// The bytes of the event.
    pub fn encode(&self) -> [u8; EVENT_SIZE] {
        self.to_bytes()
    }
}
