//! The frame of an encapsulated Arrow IPC message: prefix, verified metadata, body.

use std::ops::Range;

use arrow_ipc::{Message, MetadataVersion, root_as_message};

use crate::DecodeError;

const CONTINUATION: [u8; 4] = [0xff; 4];
const PREFIX_BYTES: usize = 8;

/// Splits a message. The metadata is verified as a flatbuffer; the body is exactly as long as the
/// metadata declares.
pub(super) fn open(bytes: &[u8]) -> Result<(Message<'_>, Range<usize>), DecodeError> {
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(DecodeError(format!("{} bytes are too few for an Arrow message", bytes.len())));
    };
    let [c0, c1, c2, c3, l0, l1, l2, l3] = *prefix;
    if [c0, c1, c2, c3] != CONTINUATION {
        return Err(DecodeError::new("an Arrow message has to begin with the continuation marker"));
    }
    let claimed = i32::from_le_bytes([l0, l1, l2, l3]);
    let metadata_end = usize::try_from(claimed)
        .ok()
        .map(|length| PREFIX_BYTES.saturating_add(length))
        .filter(|&end| end <= bytes.len())
        .ok_or_else(|| DecodeError(format!("the Arrow message claims {claimed} bytes of metadata and has {} in all", bytes.len())))?;
    let message = root_as_message(&bytes[PREFIX_BYTES..metadata_end])
        .map_err(|error| DecodeError(format!("the metadata of the Arrow message is invalid: {}", first_line(&error.to_string()))))?;
    if message.version() != MetadataVersion::V5 && message.version() != MetadataVersion::V4 {
        return Err(DecodeError(format!("the Arrow message has the metadata version {:?}; V5 is expected", message.version())));
    }
    let body = bytes.len() - metadata_end;
    if i64::try_from(body) != Ok(message.bodyLength()) {
        return Err(DecodeError(format!("the Arrow message claims a body of {} bytes and has one of {body}", message.bodyLength())));
    }
    Ok((message, metadata_end..bytes.len()))
}

fn first_line(text: &str) -> String {
    crate::text::shown(text.lines().next().unwrap_or_default())
}
