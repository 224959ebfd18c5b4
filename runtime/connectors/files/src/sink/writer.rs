//! The writer of one lane for one epoch: rows into staged files, one at a time for each partition.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use serde_json::Value;
use wasmill_engine::{Error, Result, RowReject, SinkWriter, WriterContext};

use super::commit::StagedFile;
use super::config::FilesSinkConfig;
use wasmill_connect::digest::Digested;
use wasmill_connect::durable::{escape, longest_name, written};
use wasmill_connect::prepared;
use wasmill_connect::staged::StagedMark;
use wasmill_engine::codes::DISK;
use wasmill_engine::disk::WriteBehind;
use wasmill_formats::{RecordWriter, WriteOptions, record_writer, to_plain};
use wasmill_lake::{Gather, Key, Limits, PartitionFiles, Partitioner, Split, without_partition_columns};

/// The encoder of a sink's files.
pub(super) fn record_writer_for<W: Write + Send + 'static>(
    config: &FilesSinkConfig,
    schema: &SchemaRef,
    output: W,
) -> Result<Box<dyn RecordWriter<W>>> {
    let options = WriteOptions { compression: config.compression, ..WriteOptions::default() };
    record_writer(config.format.format(), schema, output, &options)
}

/// The most files that a lane opens before the epoch's end: a Parquet file holds a row group in memory.
const MAX_OPEN_FILES: usize = 12;

/// The longest name of a file, in bytes, without the name of its sink.
const LONGEST_FILE_NAME: usize = 200;

/// The longest path that Linux takes, in bytes.
const LONGEST_PATH: usize = 4095;

/// Writes the rows of one lane.
pub(super) struct FilesWriter {
    gather: Gather<Key>,
    files: LaneFiles,
}

/// The files of one lane, one at a time for each partition.
struct LaneFiles {
    config: FilesSinkConfig,
    /// The columns of a file.
    schema: SchemaRef,
    partitioner: Partitioner,
    context: WriterContext,
    /// The epoch that this process has claimed.
    claim: Option<u64>,
    staging: PathBuf,
    open: HashMap<Key, OpenFile>,
    done: Vec<StagedFile>,
    prepared: bool,
}

type Output = Digested<Counted<BufWriter<WriteBehind>>>;

struct OpenFile {
    staged: String,
    path: String,
    rows: u64,
    written: Arc<AtomicU64>,
    writer: Box<dyn RecordWriter<Output>>,
}

impl FilesWriter {
    /// A writer into a staging folder that exists, of files that will lie in a target folder.
    pub(super) fn new(
        config: FilesSinkConfig,
        schema: &Schema,
        (context, claim): (WriterContext, Option<u64>),
        (folder, staging): (&Path, PathBuf),
    ) -> Result<Self> {
        let name = escape(&context.sink).len() + LONGEST_FILE_NAME;
        let path = LONGEST_PATH.saturating_sub(folder.as_os_str().len() + 1 + name);
        let limits = Limits { name: longest_name(folder), path, place: "this file system" };
        let partitioner = Partitioner::new(schema, &config.partition_by, limits)?;
        let gather = Gather::new(MAX_OPEN_FILES, Some(staging.clone()));
        let schema = without_partition_columns(schema, &config.partition_by);
        let (open, done, prepared) = (HashMap::new(), Vec::new(), false);
        Ok(Self { gather, files: LaneFiles { config, schema, partitioner, context, claim, staging, open, done, prepared } })
    }
}

impl LaneFiles {
    /// Every file has a unique name, so a process that writes the same epoch concurrently can't
    /// touch it.
    fn create(&self, key: &Key) -> Result<OpenFile> {
        let (mark, sink) = (StagedMark::new(&self.context, self.claim), escape(&self.context.sink));
        let named = |mark: String| format!("{sink}-{mark}{}", self.config.extension());
        let staged = named(mark.to_string());
        let path = self.partitioner.folder(key) + &named(mark.visible());
        let at = self.staging.join(&staged);
        let file = File::create_new(&at).map_err(|error| Error::io(format!("create {}", at.display()), error).or_code(DISK))?;
        let written = Arc::new(AtomicU64::new(0));
        let file = BufWriter::with_capacity(1 << 16, WriteBehind::new(file));
        let output = Digested::new(Counted { file, written: Arc::clone(&written) });
        Ok(OpenFile { staged, path, rows: 0, written, writer: record_writer_for(&self.config, &self.schema, output)? })
    }

    fn end(&mut self, open: OpenFile) -> Result<()> {
        // Kept first, so that a failure leaves nothing that is not removed.
        self.done.push(StagedFile { staged: open.staged, path: open.path, size: 0, rows: open.rows, sha256: String::new() });
        let output = open.writer.finish().map_err(|error| error.at(self.staging.display().to_string()))?;
        let (sha256, output) = output.finish();
        let Some(staged) = self.done.last_mut() else { return Ok(()) };
        (staged.size, staged.sha256) = (open.written.load(Ordering::Relaxed), sha256);
        let path = self.staging.join(&staged.staged);
        let file =
            output.file.into_inner().map_err(|error| Error::io(format!("write {}", path.display()), error.into_error()).or_code(DISK))?;
        written(&path, file.into_file())
    }
}

impl PartitionFiles<Key> for LaneFiles {
    fn is_open(&self, key: &Key) -> bool {
        self.open.contains_key(key)
    }

    fn open_files(&self) -> usize {
        self.open.len()
    }

    fn write(&mut self, key: &Key, records: &RecordBatch) -> Result<()> {
        if !self.open.contains_key(key) {
            let file = self.create(key)?;
            self.open.insert(key.clone(), file);
        }
        let Some(open) = self.open.get_mut(key) else { return Ok(()) };
        let staged = || self.staging.join(&open.staged).display().to_string();
        open.writer.write(records).map_err(|error| error.at(staged()))?;
        open.rows += records.num_rows() as u64;
        let size = open.written.load(Ordering::Relaxed) + open.writer.buffered_bytes() as u64;
        if size >= self.config.target_file_size.as_u64() { self.finish(key) } else { Ok(()) }
    }

    fn finish(&mut self, key: &Key) -> Result<()> {
        self.open.remove(key).map_or(Ok(()), |open| self.end(open))
    }
}

impl SinkWriter for FilesWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        if records.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.files.config.partition_by.is_empty() {
            return self.files.write(&Key::new(), records).map(|()| Vec::new());
        }
        let Split { records, partitions, rejects } = self.files.partitioner.split(&to_plain(records)?)?;
        self.gather.write(records, partitions, &mut self.files)?;
        Ok(rejects)
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        self.gather.finish(&mut self.files)?;
        let mut keys: Vec<Key> = self.files.open.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.files.finish(&key)?;
        }
        self.files.prepared = true;
        prepared::write(&self.files.done)
    }
}

impl Drop for LaneFiles {
    /// What was not prepared will never be committed. Best effort: the next start removes what stays.
    fn drop(&mut self) {
        if self.prepared {
            return;
        }
        let open = self.open.values().map(|open| &open.staged);
        for name in self.done.iter().map(|file| &file.staged).chain(open) {
            let _ = fs::remove_file(self.staging.join(name));
        }
    }
}

/// A file that counts the bytes written to it, for a caller that does not hold it.
struct Counted<F> {
    file: F,
    written: Arc<AtomicU64>,
}

impl<F: Write> Write for Counted<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.written.fetch_add(taken as u64, Ordering::Relaxed);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
