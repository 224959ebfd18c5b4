//! The source `emulator`: rows of one table, generated where they are read.
//!
//! # Splits
//! Row numbers are dealt out to 16 splits in blocks of 16,384, so that lanes share the work and a split's rows do not depend on
//! how many there are in all. Split 0 has the rows 0 to 16,383, then those from 262,144 on, and so on.
//!
//! # What a checkpoint knows
//! The next row of each split, and what the rows were generated from. Another table, seed or dirt
//! under an old checkpoint stops the run, because the rows would no longer be those that it counts.
//! More `rows` than before are allowed: a later run generates the rest.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmill_engine::{
    Batch, Discovery, Error, Lineage, Mode, OriginalRecord, Payload, Progress, Read, Reject, Result, Source, SourceBatch, SourceChunk,
    Split, SplitOpener, SplitReader,
};

use super::config::{EmulatorConfig, Table};
use super::pace::Pace;
use super::rows::Generator;
use crate::codes::CHANGED;
use wasmill_connect::codes::RESERVED_COLUMN;
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_formats::TypeName;
use wasmill_formats::json::JsonDecoder;
use wasmill_formats::reading::without_reading;
use wasmill_formats::{BadRecord, RecordDecoder, Utf8Records};

/// The reserved column that names the split of a record.
pub const PARTITION_COLUMN: &str = "_source.partition";
/// The reserved column that holds a record's byte offset in its split.
pub const POSITION_COLUMN: &str = "_source.position";

/// How many splits there are. Stored in checkpoints: never to be changed.
const SPLITS: u64 = 16;
/// How many rows a split has before the next one has its turn. Never to be changed either.
const BLOCK_ROWS: u64 = 16_384;

/// Counts changes of the generator after which the same seed gives other rows.
const GENERATOR: u32 = 1;

/// Room for a pin, line feed included; most are shorter.
const BYTES_PER_ROW: usize = 800;

impl Table {
    /// The columns of the table, as its rows have them when nothing is wrong.
    pub fn schema(self) -> SchemaRef {
        let (numbers, texts) = (DataType::Int64, DataType::Utf8);
        let columns: Vec<(&str, DataType)> = match self {
            Self::Pin => [
                "index",
                "unique_id",
                "title",
                "description",
                "poster_name",
                "follower_count",
                "tag_list",
                "is_image_or_video",
                "image_src",
                "downloaded",
                "save_location",
                "category",
            ]
            .map(|name| (name, if matches!(name, "index" | "downloaded") { numbers.clone() } else { texts.clone() }))
            .into(),
            Self::Geo => vec![
                ("ind", numbers),
                ("timestamp", texts.clone()),
                ("latitude", DataType::Float64),
                ("longitude", DataType::Float64),
                ("country", texts),
            ],
            Self::User => vec![
                ("ind", numbers.clone()),
                ("first_name", texts.clone()),
                ("last_name", texts.clone()),
                ("age", numbers),
                ("date_joined", texts),
            ],
        };
        Arc::new(Schema::new(columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect::<Vec<_>>()))
    }
}

/// A source of emulated rows.
pub struct EmulatorSource {
    shared: Arc<Shared>,
    listed: bool,
}

/// What readers need to know.
struct Shared {
    name: Arc<str>,
    table: Table,
    /// `u64::MAX`: endless.
    rows: u64,
    made_from: MadeFrom,
    generator: Generator,
    schema: SchemaRef,
    pace: Option<Pace>,
}

/// The inputs of the generator: the part of a position that may not change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct MadeFrom {
    generator: u32,
    table: Table,
    seed: u64,
    /// A digest of the shares.
    dirt: String,
}

/// The position of a split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Position {
    /// The next row number.
    row: u64,
    /// The bytes of all rows of the split before it, line feeds included.
    byte: u64,
    made_from: MadeFrom,
}

impl Position {
    fn read(value: &Value) -> Result<Self> {
        Position::deserialize(value).map_err(|error| {
            Error::environment(format!("the position {value} is not one of an emulator: {error}")).code(STATE_OF_OTHER_SOURCE)
        })
    }
}

impl EmulatorSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included.
    ///
    /// # Errors
    /// Configuration: bad options, or a column that can't be read from JSON.
    pub fn new(name: &str, config: &EmulatorConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check(mode)?;
        let shared = Shared {
            name: name.into(),
            table: config.table,
            rows: config.rows.unwrap_or(u64::MAX),
            made_from: MadeFrom {
                generator: GENERATOR,
                table: config.table,
                seed: config.seed,
                dirt: digest(&config.dirt.shares().fingerprint()),
            },
            generator: Generator::new(config.seed, &config.dirt),
            schema: requested,
            pace: config.rate.map(Pace::new),
        };
        Columns::new(&shared.schema)?;
        Ok(Self { shared: Arc::new(shared), listed: false })
    }
}

fn digest(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..8])
}

impl Shared {
    /// The start of a split, whether or not it was begun before.
    fn start(&self, id: &str, number: u64, restored: &Progress) -> Result<Position> {
        let Some(state) = restored.get(id) else {
            return Ok(Position { row: number * BLOCK_ROWS, byte: 0, made_from: self.made_from.clone() });
        };
        let position = Position::read(&state.position)?;
        let (then, now) = (&position.made_from, &self.made_from);
        if then == now {
            return Ok(position);
        }
        let changed = match () {
            () if then.table != now.table => format!("the table was `{}` and is now `{}`", then.table, now.table),
            () if then.seed != now.seed => format!("the seed was {} and is now {}", then.seed, now.seed),
            () if then.dirt != now.dirt => "`dirt` was changed".to_owned(),
            () => "this version of Wasmill generates other rows".to_owned(),
        };
        Err(Error::environment(format!("the rows are not those that the checkpoint has read: {changed}"))
            .code(CHANGED)
            .hint("change it back, or start over with another `--state` folder"))
    }
}

fn split_id(table: Table, number: u64) -> String {
    format!("{table}/{number}")
}

impl Source for EmulatorSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.shared.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let mut discovery = Discovery { splits: Vec::new(), complete: true };
        if std::mem::replace(&mut self.listed, true) {
            return Ok(discovery);
        }
        let shared = &self.shared;
        for number in 0..SPLITS {
            let id = split_id(shared.table, number);
            let position = shared.start(&id, number, restored)?;
            if position.row < shared.rows {
                let position = serde_json::to_value(&position).map_err(|error| Error::bug(format!("a position is not JSON: {error}")))?;
                discovery.splits.push(Split { id: id.into(), position });
            }
        }
        if let Some(id) = restored.keys().find(|id| (0..SPLITS).all(|number| split_id(shared.table, number) != ***id)) {
            return Err(Error::environment(format!(
                "the checkpoint has read the split {id}, which this emulator of `{}` does not have",
                shared.table
            ))
            .code(CHANGED)
            .hint("change the source back, or start over with another `--state` folder"));
        }
        Ok(discovery)
    }

    fn is_endless(&self) -> bool {
        self.shared.rows == u64::MAX
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener(Arc::clone(&self.shared)))
    }
}

struct Opener(Arc<Shared>);

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let columns = Columns::new(&self.0.schema)?;
        let position = Position::read(&split.position)?;
        Ok(Box::new(Reader { shared: Arc::clone(&self.0), partition: Arc::clone(&split.id), position, columns }))
    }
}

/// Decodes lines into the requested columns.
struct Columns {
    schema: SchemaRef,
    decoder: JsonDecoder,
}

impl Columns {
    fn new(schema: &SchemaRef) -> Result<Self> {
        let mut decoded = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let expected = match field.name().as_str() {
                PARTITION_COLUMN => DataType::Utf8,
                POSITION_COLUMN => DataType::Int64,
                name if name.starts_with("_source.") => {
                    return Err(Error::configuration(format!("an emulator has no column {name}"))
                        .code(RESERVED_COLUMN)
                        .hint(format!("it has {PARTITION_COLUMN} and {POSITION_COLUMN}")));
                }
                _ => {
                    decoded.push(Arc::clone(field));
                    continue;
                }
            };
            if *field.data_type() != expected {
                return Err(Error::configuration(format!(
                    "the column {} is of type {}, not {}",
                    field.name(),
                    TypeName(&expected),
                    TypeName(field.data_type())
                ))
                .code(RESERVED_COLUMN));
            }
        }
        Ok(Self { schema: without_reading(schema), decoder: JsonDecoder::new(Arc::new(Schema::new(decoded)))? })
    }

    /// The batch of the decoder's content, with the reserved columns at their places.
    fn finish(&mut self, partition: &str, payload: &Payload) -> Result<RecordBatch> {
        let decoded = self.decoder.finish()?;
        let rows = decoded.num_rows();
        let mut decoded_columns = decoded.columns().iter();
        let column = |field: &Arc<Field>| -> Option<ArrayRef> {
            match field.name().as_str() {
                PARTITION_COLUMN => Some(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(partition, rows)))),
                POSITION_COLUMN => Some(Arc::new(Int64Array::from_iter_values((0..rows).map(|row| payload.position(row).cast_signed())))),
                _ => decoded_columns.next().cloned(),
            }
        };
        let columns = self.schema.fields().iter().filter_map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| Error::bug(format!("emulated columns do not fit into a batch: {error}")).caused_by(error))
    }
}

/// Generates the rows of one split.
struct Reader {
    shared: Arc<Shared>,
    partition: Arc<str>,
    position: Position,
    columns: Columns,
}

impl Reader {
    /// How many rows of the current block are left.
    fn left_in_block(&self) -> u64 {
        let end_of_block = (self.position.row / BLOCK_ROWS + 1).saturating_mul(BLOCK_ROWS);
        end_of_block.min(self.shared.rows).saturating_sub(self.position.row)
    }

    /// Advances by a row: after the last one of a block to the next block of this split.
    fn advance(&mut self) {
        self.position.row += 1;
        if self.position.row.is_multiple_of(BLOCK_ROWS) {
            self.position.row = self.position.row.saturating_add((SPLITS - 1) * BLOCK_ROWS);
        }
    }

    /// Generates `rows` lines, and notes where each lies.
    fn generate(&mut self, rows: usize) -> (Bytes, Vec<std::ops::Range<u32>>) {
        let mut data = Vec::with_capacity(rows * BYTES_PER_ROW);
        let mut ranges = Vec::with_capacity(rows);
        for _ in 0..rows {
            let start = data.len() as u32;
            self.shared.generator.write(self.shared.table, self.position.row, &mut data);
            ranges.push(start..data.len() as u32);
            data.push(b'\n');
            self.advance();
        }
        self.position.byte += data.len() as u64;
        (data.into(), ranges)
    }

    fn reject(&self, bad: BadRecord, position: u64, record: Bytes) -> Reject {
        Reject {
            source: Arc::clone(&self.shared.name),
            partition: Arc::clone(&self.partition),
            position,
            record: OriginalRecord::Bytes(record),
            stage: None,
            plugin: None,
            code: bad.code.to_owned(),
            column: bad.column,
            message: bad.message,
        }
    }

    fn batch(&mut self, rows: usize) -> Result<SourceBatch> {
        let base = self.position.byte;
        let (data, mut ranges) = self.generate(rows);
        let texts = Utf8Records::new(&data);
        let mut rejects = Vec::new();
        ranges.retain(|range| {
            let place = range.start as usize..range.end as usize;
            let Err(bad) = texts.record(place.clone()).and_then(|text| self.columns.decoder.push(text)) else { return true };
            rejects.push(self.reject(*bad, base + u64::from(range.start), data.slice(place)));
            false
        });
        let bytes = data.len() as u64;
        let payload = Payload::Bytes { data, base, ranges };
        let records = self.columns.finish(&self.partition, &payload)?;
        let chunk = SourceChunk { source: Arc::clone(&self.shared.name), partition: Arc::clone(&self.partition), payload };
        Ok(SourceBatch { batch: Batch { records, lineage: Lineage::of_source(Arc::new(chunk)) }, rejects, bytes })
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        let wanted = max_rows.max(1).min(self.left_in_block() as usize);
        if wanted == 0 {
            return Ok(Read::End);
        }
        match self.shared.pace.as_ref().map_or(wanted, |pace| pace.take(wanted)) {
            0 => Ok(Read::Idle),
            rows => Ok(Read::Batch(self.batch(rows)?)),
        }
    }

    fn position(&self) -> Value {
        serde_json::to_value(&self.position).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
