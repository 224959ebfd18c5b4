//! A block as one encapsulated Arrow IPC message, and back.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, UInt8Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, ListArray, RecordBatch, RecordBatchOptions, StructArray, UInt8Array};
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message};
use arrow_ipc::{MessageHeader, MetadataVersion, root_as_message};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::block::{Block, Parts};
use super::columns;
use crate::{Error, Result};

/// Buffers begin at multiples of this, the least that the format allows.
const ALIGNMENT: usize = 8;
/// A message begins with a marker and the length of its metadata.
const PREFIX_BYTES: usize = 8;
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The columns of a block.
fn schema(state: &Schema) -> Schema {
    Schema::new(vec![
        Field::new("end", DataType::Int64, false),
        Field::new("key_group", DataType::UInt8, false),
        Field::new("key", DataType::Binary, false),
        Field::new("complete", DataType::Boolean, false),
        Field::new("state", DataType::List(Arc::new(state_item(state))), false),
    ])
}

fn state_item(state: &Schema) -> Field {
    Field::new("item", DataType::Struct(state.fields().clone()), false)
}

/// Writes blocks; reuses memory.
#[derive(Default)]
pub(super) struct Encoder {
    context: IpcWriteContext,
}

impl Encoder {
    /// The message of a block.
    pub fn encode(&mut self, block: &Block) -> Result<Vec<u8>> {
        self.message(block).map_err(|error| Error::bug(format!("a block of a run can't be encoded: {error}")))
    }

    fn message(&mut self, block: &Block) -> Result<Vec<u8>, ArrowError> {
        let states = block.states();
        let rows = match states.num_columns() {
            0 => StructArray::new_empty_fields(states.num_rows(), None),
            _ => StructArray::try_new(states.schema_ref().fields().clone(), states.columns().to_vec(), None)?,
        };
        let item = Arc::new(state_item(states.schema_ref()));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(block.ends().iter().copied().collect::<Int64Array>()),
            Arc::new(block.key_groups().iter().copied().collect::<UInt8Array>()),
            Arc::new(block.keys().clone()),
            Arc::new(BooleanArray::new(block.complete().clone(), None)),
            Arc::new(ListArray::try_new(item, block.offsets().clone(), Arc::new(rows), None)?),
        ];
        let table = RecordBatch::try_new(Arc::new(schema(states.schema_ref())), columns)?;
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
        let mut dictionaries = DictionaryTracker::new(false);
        let (_, encoded) = IpcDataGenerator::default().encode(&table, &mut dictionaries, &options, &mut self.context)?;
        let mut bytes = Vec::with_capacity(encoded.ipc_message.len() + encoded.arrow_data.len() + 2 * PREFIX_BYTES);
        write_message(&mut bytes, encoded, &options)?;
        Ok(bytes)
    }
}

/// Reads the message of a block of `entries` entries and `rows` state rows. The error says what is wrong.
pub(super) fn decode(bytes: Vec<u8>, state: &SchemaRef, entries: usize, rows: usize) -> Result<Block, String> {
    let (message, body) = open(&bytes)?;
    if message.header_type() != MessageHeader::RecordBatch {
        return Err("the message is not a record batch".to_owned());
    }
    let batch = message.header_as_record_batch().ok_or("the message holds no record batch")?;
    if batch.compression().is_some() || batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err("the record batch has compressed buffers or views".to_owned());
    }
    if usize::try_from(batch.length()) != Ok(entries) {
        return Err(format!("the block claims {} entries where {entries} are due", batch.length()));
    }
    let nodes: Vec<_> = batch.nodes().into_iter().flatten().copied().collect();
    let buffers: Vec<_> = batch.buffers().into_iter().flatten().copied().collect();
    let schema = schema(state);
    let columns = columns::read(bytes, body, (nodes, buffers), schema.fields(), entries)?;
    let list = columns[4].as_list::<i32>();
    let item = list.values().as_struct();
    if item.len() != rows || list.offsets().first() != Some(&0) || list.offsets().last().map(|&last| last as usize) != Some(rows) {
        return Err(format!("the block has {} state rows where {rows} are due", item.len()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let states =
        RecordBatch::try_new_with_options(SchemaRef::clone(state), item.columns().to_vec(), &options).map_err(|error| error.to_string())?;
    Ok(Block::new(Parts {
        ends: columns[0].as_primitive::<Int64Type>().values().clone(),
        key_groups: columns[1].as_primitive::<UInt8Type>().values().clone(),
        keys: columns[2].as_binary::<i32>().clone(),
        complete: columns[3].as_boolean().values().clone(),
        offsets: list.offsets().clone(),
        states,
    }))
}

/// Takes a message apart: the metadata is verified as a flatbuffer, and the body is exactly as long as it says.
fn open(bytes: &[u8]) -> Result<(arrow_ipc::Message<'_>, std::ops::Range<usize>), String> {
    let Some((&[c0, c1, c2, c3, l0, l1, l2, l3], _)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(format!("{} bytes are too few for an Arrow message", bytes.len()));
    };
    if [c0, c1, c2, c3] != CONTINUATION {
        return Err("an Arrow message has to begin with the continuation marker".to_owned());
    }
    let claimed = i32::from_le_bytes([l0, l1, l2, l3]);
    let end = usize::try_from(claimed).ok().and_then(|length| length.checked_add(PREFIX_BYTES)).filter(|&end| end <= bytes.len());
    let end = end.ok_or_else(|| format!("the Arrow message claims {claimed} bytes of metadata and has {} in all", bytes.len()))?;
    let message = root_as_message(&bytes[PREFIX_BYTES..end]).map_err(|_| "the metadata of the Arrow message is invalid")?;
    let body = bytes.len() - end;
    if i64::try_from(body) != Ok(message.bodyLength()) {
        return Err(format!("the Arrow message claims a body of {} bytes and has one of {body}", message.bodyLength()));
    }
    Ok((message, end..bytes.len()))
}
