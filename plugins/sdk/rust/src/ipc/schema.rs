//! Schemas as IPC messages.

use arrow_ipc::convert::{IpcSchemaEncoder, fb_to_schema};
use arrow_ipc::{Message, MessageArgs, MessageHeader, MetadataVersion, root_as_message};
use arrow_schema::Schema;
use flatbuffers::FlatBufferBuilder;

use super::{CONTINUATION, padded};
use crate::Refusal;

/// Writes a schema as one `Schema` message.
pub(crate) fn encode_schema(schema: &Schema) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let header = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema).as_union_value();
    let message = Message::create(
        &mut builder,
        &MessageArgs {
            version: MetadataVersion::V5,
            header_type: MessageHeader::Schema,
            header: Some(header),
            bodyLength: 0,
            custom_metadata: None,
        },
    );
    builder.finish(message, None);
    frame(builder.finished_data(), 0)
}

/// Reads a schema from one `Schema` message.
///
/// # Errors
/// Refuses bytes that are not such a message: host and plugin then speak different contracts.
pub(crate) fn decode_schema(bytes: &[u8]) -> Result<Schema, Refusal> {
    let (metadata, _) = split(bytes)?;
    let message = root_as_message(metadata).map_err(|error| malformed(&error.to_string()))?;
    let schema = message.header_as_schema().ok_or_else(|| malformed("it is not a schema message"))?;
    Ok(fb_to_schema(schema))
}

/// Starts an encapsulated message: prefix and metadata, with room for a body of `body_length` bytes.
pub(super) fn frame(metadata: &[u8], body_length: usize) -> Vec<u8> {
    let prefix = CONTINUATION.len() + size_of::<u32>();
    let padded_metadata = padded(metadata.len());
    let mut bytes = Vec::with_capacity(prefix + padded_metadata + body_length);
    bytes.extend_from_slice(&CONTINUATION);
    bytes.extend_from_slice(&(padded_metadata as u32).to_le_bytes());
    bytes.extend_from_slice(metadata);
    bytes.resize(prefix + padded_metadata, 0);
    bytes
}

/// Splits an encapsulated message into its metadata and the offset of its body.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8], usize), Refusal> {
    let rest = bytes.strip_prefix(&CONTINUATION).ok_or_else(|| malformed("the continuation marker is missing"))?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("the metadata length is missing"))?;
    let length = u32::from_le_bytes(*length) as usize;
    let metadata = rest.get(..length).ok_or_else(|| malformed("it ends within its metadata"))?;
    Ok((metadata, bytes.len() - rest.len() + length))
}

/// The refusal of bytes that the host should not have sent.
pub(super) fn malformed(what: &str) -> Refusal {
    Refusal::new(format!("the host sent a malformed Arrow IPC message: {what}"))
}
