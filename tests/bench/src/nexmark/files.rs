//! The events as files, for programs that are compared.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use wasmill_formats::row_to_json;

use super::columns::Table;
use super::events::Events;
use crate::Result;

/// How rows are written.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum FilesFormat {
    /// Parquet (zstd, level 1)
    Parquet,
    /// JSON lines
    Jsonl,
}

/// Rows that are generated at once.
const BATCH_ROWS: u64 = 8_192;

/// Writes the events with numbers below `count` into `person`, `auction` and `bid`, each a file with the extension of the format, in a folder that is
/// created if it is missing.
pub fn write_files(events: &Events, count: u64, folder: &Path, format: FilesFormat) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for table in Table::ALL {
        let (schema, rows) = (table.schema(), table.rows(count));
        let batches =
            (0..rows).step_by(BATCH_ROWS as usize).map(|first| table.batch(events, first..(first + BATCH_ROWS).min(rows), &schema));
        match format {
            FilesFormat::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
                let file = File::create(folder.join(format!("{table}.parquet")))?;
                let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
                for batch in batches {
                    writer.write(&batch?)?;
                }
                writer.close()?;
            }
            FilesFormat::Jsonl => {
                let mut writer = BufWriter::new(File::create(folder.join(format!("{table}.jsonl")))?);
                for batch in batches {
                    let batch = batch?;
                    for row in 0..batch.num_rows() {
                        writeln!(writer, "{}", row_to_json(&batch, row)?)?;
                    }
                }
                writer.flush()?;
            }
        }
    }
    Ok(())
}
