//! Writes schema and record batch messages.

use arrow_array::RecordBatch;
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::Schema;

/// Buffers begin at multiples of this: what every boundary type but decimals needs, and the least padding that the format allows.
const ALIGNMENT: usize = 8;

fn options() -> IpcWriteOptions {
    // The only error is an alignment that the format doesn't know, and then the default is as good.
    IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).unwrap_or_default()
}

pub(super) fn schema(schema: &Schema) -> Vec<u8> {
    let mut dictionaries = DictionaryTracker::new(false);
    framed(IpcDataGenerator {}.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options()))
}

pub(super) fn table(table: &RecordBatch) -> Result<Vec<u8>, String> {
    let mut dictionaries = DictionaryTracker::new(false);
    let (first, batch) = IpcDataGenerator {}
        .encode(table, &mut dictionaries, &options(), &mut Default::default())
        .map_err(|error| format!("cannot encode a batch: {error}"))?;
    if !first.is_empty() {
        return Err("a dictionary came as far as the boundary".to_owned());
    }
    Ok(framed(batch))
}

/// The encapsulated message: continuation marker, length of the padded metadata, metadata, body.
fn framed(data: EncodedData) -> Vec<u8> {
    let metadata = data.ipc_message.len().next_multiple_of(ALIGNMENT);
    let mut bytes = Vec::with_capacity(8 + metadata + data.arrow_data.len());
    bytes.extend_from_slice(&[0xff; 4]);
    bytes.extend_from_slice(&(metadata as u32).to_le_bytes());
    bytes.extend_from_slice(&data.ipc_message);
    bytes.resize(8 + metadata, 0);
    bytes.extend_from_slice(&data.arrow_data);
    bytes
}
