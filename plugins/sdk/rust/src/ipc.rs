//! Tables and schemas as encapsulated Arrow IPC messages: the bytes that cross between plugin and host.

mod decode;
mod encode;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use decode::decode_table;
pub(crate) use encode::encode_table;
pub(crate) use schema::{decode_schema, encode_schema};

/// The marker before the metadata length of an encapsulated message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Messages and buffers start at multiples of this many bytes.
const ALIGNMENT: usize = 8;

/// `length` rounded up to the alignment.
const fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}
