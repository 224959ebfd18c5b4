//! Rows of keys and values, generated: the same seed gives the same rows.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::Result;

/// Rows of a batch and of a row group.
const BATCH_ROWS: usize = 8_192;
const ROW_GROUP_ROWS: usize = 262_144;

/// How far event time advances from row to row.
const MILLIS_PER_ROW: u64 = 1;
const DAY_MILLIS: u64 = 86_400_000;

/// Pseudorandom numbers: splitmix64.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number of 0 to a million, in thousandths.
    pub fn thousandths(&mut self) -> u64 {
        self.draw() % 1_000_000_000
    }
}

/// How a file of rows is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `{"key":7,"value":1.25}`, with a `time` if it is asked for
    Jsonl,
    /// Columns `key` and `value`, zstd
    Parquet,
}

/// Which rows.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// How many
    #[arg(long)]
    rows: u64,
    /// The keys are 0 up to here. Each has equally many rows, as far as they go
    #[arg(long)]
    keys: u64,
    /// The first key
    #[arg(long, default_value_t = 0)]
    first_key: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long)]
    format: Format,
    /// Adds a column `time` to JSON lines, which advances by a millisecond per row
    #[arg(long)]
    times: bool,
    /// The file
    #[arg(long)]
    out: PathBuf,
}

/// All keys in an order of chance, over and over, each time in another order.
struct Keys {
    order: Vec<u64>,
    at: usize,
}

impl Keys {
    fn new(wanted: &Wanted) -> Self {
        let order: Vec<u64> = (wanted.first_key..wanted.first_key + wanted.keys).collect();
        Self { at: order.len(), order }
    }

    fn next(&mut self, random: &mut Random) -> u64 {
        if self.at == self.order.len() {
            for last in (1..self.order.len()).rev() {
                self.order.swap(last, (random.draw() % (last as u64 + 1)) as usize);
            }
            self.at = 0;
        }
        self.at += 1;
        self.order[self.at - 1]
    }
}

/// Writes a file of rows; it is complete when it has its name.
pub fn write(wanted: &Wanted) -> Result<()> {
    if wanted.keys == 0 || wanted.rows * MILLIS_PER_ROW > DAY_MILLIS {
        return Err("there has to be a key, and the rows have to fit into a day".into());
    }
    let part = wanted.out.with_extension("part");
    let mut random = Random::new(wanted.seed);
    match wanted.format {
        Format::Jsonl => write_lines(wanted, &part, &mut random)?,
        Format::Parquet => write_parquet(wanted, &part, &mut random)?,
    }
    Ok(std::fs::rename(part, &wanted.out)?)
}

fn write_lines(wanted: &Wanted, path: &Path, random: &mut Random) -> Result<()> {
    let (mut out, mut keys) = (BufWriter::with_capacity(1 << 20, File::create(path)?), Keys::new(wanted));
    for row in 0..wanted.rows {
        let (key, value) = (keys.next(random), random.thousandths());
        write!(out, "{{\"key\":{key},\"value\":{}.{:03}", value / 1000, value % 1000)?;
        if wanted.times {
            let millis = row * MILLIS_PER_ROW;
            let (seconds, millis) = (millis / 1000, millis % 1000);
            write!(out, ",\"time\":\"2026-03-01T{:02}:{:02}:{:02}.{millis:03}Z\"", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        }
        out.write_all(b"}\n")?;
    }
    Ok(out.flush()?)
}

fn write_parquet(wanted: &Wanted, path: &Path, random: &mut Random) -> Result<()> {
    let mut keys = Keys::new(wanted);
    let mut batch = |rows: u64| {
        let (mut of_key, mut of_value) = (Vec::with_capacity(rows as usize), Vec::with_capacity(rows as usize));
        for _ in 0..rows {
            of_key.push(keys.next(random) as i64);
            of_value.push(random.thousandths() as f64 / 1000.0);
        }
        let columns: [(&str, ArrayRef); 2] =
            [("key", Arc::new(Int64Array::from(of_key))), ("value", Arc::new(Float64Array::from(of_value)))];
        RecordBatch::try_from_iter(columns)
    };
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch(0)?.schema(), Some(properties))?;
    let mut left = wanted.rows;
    while left > 0 {
        let rows = left.min(BATCH_ROWS as u64);
        writer.write(&batch(rows)?)?;
        left -= rows;
    }
    writer.close()?;
    Ok(())
}
