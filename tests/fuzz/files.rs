//! Bytes through the source `files`, as a pipeline reads them.

use std::cell::RefCell;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use files::{FilesConfig, FilesSource};
use wasmill_engine::{Mode, Progress, Read, Source};
use wasmill_formats::{Format, WriteOptions, record_writer};

/// What came out of a file.
#[derive(Default)]
pub struct Outcome {
    /// The rows, each batch with the positions of its rows.
    pub batches: Vec<(RecordBatch, Vec<u64>)>,
    /// The rejects: position and code.
    pub rejects: Vec<(u64, String)>,
    /// Why it was not read to its end.
    pub error: Option<String>,
}

impl Outcome {
    pub fn rows(&self) -> usize {
        self.batches.iter().map(|(records, _)| records.num_rows()).sum()
    }

    /// How it came out, in few words.
    pub fn summary(&self) -> String {
        let mut codes: Vec<&str> = self.rejects.iter().map(|(_, code)| code.as_str()).collect();
        codes.dedup();
        codes.truncate(6);
        // The first words say what is wrong, the rest quotes the input.
        let error = self.error.as_deref().map(|error| error.chars().filter(|letter| letter.is_alphabetic()).take(60).collect::<String>());
        format!("{} rows, {codes:?}, {error:?}", self.rows().min(9))
    }
}

thread_local! {
    /// A file for each thread, which the next input replaces.
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

fn file() -> PathBuf {
    FOLDER.with(|folder| folder.borrow_mut().get_or_insert_with(|| tempfile::tempdir().unwrap()).path().join("input"))
}

/// Reads a file of these bytes to its end, in batches of seven rows. Whatever comes out is a valid batch of the schema.
pub fn read(format: Format, schema: &SchemaRef, bytes: &[u8]) -> Outcome {
    let path = file();
    std::fs::write(&path, bytes).unwrap();
    let config = FilesConfig { format: Some(format), ..FilesConfig::of_path(path.to_str().unwrap()) };
    let mut outcome = Outcome::default();
    let done = FilesSource::new("input", config, schema.clone(), Mode::Batch).and_then(|mut source| read_splits(&mut source, &mut outcome));
    outcome.error = done.err().map(|error| error.to_string());
    outcome
}

fn read_splits(source: &mut FilesSource, outcome: &mut Outcome) -> wasmill_engine::Result<()> {
    for split in source.discover(&Progress::new())?.splits {
        let mut reader = source.opener().open(&split)?;
        loop {
            match reader.read(7)? {
                Read::Batch(read) => {
                    let (records, lineage) = (read.batch.records, read.batch.lineage);
                    records.columns().iter().for_each(|column| column.to_data().validate_full().unwrap());
                    assert_eq!(records.schema(), source.schema());
                    let positions = (0..records.num_rows()).map(|row| lineage.position(row)).collect();
                    outcome.batches.push((records, positions));
                    outcome.rejects.extend(read.rejects.into_iter().map(|reject| (reject.position, reject.code)));
                }
                Read::Skipping => {}
                Read::Idle => panic!("a file has something or ends"),
                Read::End => break,
            }
        }
    }
    Ok(())
}

/// A file of these rows, as the sink `files` writes it; the same rows have to be read from it.
pub fn written(format: Format, records: &RecordBatch) -> Result<Vec<u8>, String> {
    let mut writer = record_writer(format, &records.schema(), Vec::new(), &WriteOptions::default()).unwrap();
    writer.write(records).unwrap();
    let bytes = writer.finish().unwrap();
    let outcome = read(format, &records.schema(), &bytes);
    let found: Vec<RecordBatch> = outcome.batches.iter().map(|(records, _)| records.clone()).collect();
    let found = arrow::compute::concat_batches(&records.schema(), &found).unwrap();
    match found == *records && outcome.rejects.is_empty() && outcome.error.is_none() {
        true => Ok(bytes),
        false => Err(format!(
            "{records:?}\nis written as {}\nand read as {found:?}, {:?}, {:?}",
            String::from_utf8_lossy(&bytes),
            outcome.rejects,
            outcome.error
        )),
    }
}
