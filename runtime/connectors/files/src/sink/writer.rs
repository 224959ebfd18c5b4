//! The writer of one lane for one epoch: rows into staged files, one at a time.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use serde_json::Value;
use wasmill_engine::{Error, Result, RowReject, SinkWriter, WriterContext};

use super::commit::StagedFile;
use super::config::FilesSinkConfig;
use wasmill_connect::digest::Digested;
use wasmill_connect::durable::{escape, written};
use wasmill_connect::prepared;
use wasmill_connect::staged::StagedMark;
use wasmill_engine::disk::WriteBehind;
use wasmill_formats::{RecordWriter, WriteOptions, record_writer};

/// The encoder of a sink's files.
pub(super) fn record_writer_for<W: Write + Send + 'static>(
    config: &FilesSinkConfig,
    schema: &SchemaRef,
    output: W,
) -> Result<Box<dyn RecordWriter<W>>> {
    let options = WriteOptions { compression: config.compression, ..WriteOptions::default() };
    record_writer(config.format.format(), schema, output, &options)
}

/// Writes the rows of one lane.
pub(super) struct FilesWriter {
    config: FilesSinkConfig,
    schema: SchemaRef,
    context: WriterContext,
    /// The epoch that this process has claimed.
    claim: Option<u64>,
    staging: PathBuf,
    open: Option<OpenFile>,
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
    /// A writer into a staging folder that exists.
    pub(super) fn new(
        config: FilesSinkConfig,
        schema: SchemaRef,
        (context, claim): (WriterContext, Option<u64>),
        staging: PathBuf,
    ) -> Self {
        Self { config, schema, context, claim, staging, open: None, done: Vec::new(), prepared: false }
    }

    /// Every file has a name that no other one ever had, so that a process that writes the same epoch beside this one can't touch it.
    fn create(&mut self) -> Result<OpenFile> {
        let (mark, sink) = (StagedMark::new(&self.context, self.claim), escape(&self.context.sink));
        let named = |mark: String| format!("{sink}-{mark}{}", self.config.extension());
        let (staged, path) = (named(mark.to_string()), named(mark.visible()));
        let at = self.staging.join(&staged);
        let file = File::create_new(&at).map_err(|error| Error::io(format!("create {}", at.display()), error))?;
        let written = Arc::new(AtomicU64::new(0));
        let file = BufWriter::with_capacity(1 << 16, WriteBehind::new(file));
        let output = Digested::new(Counted { file, written: Arc::clone(&written) });
        Ok(OpenFile { staged, path, rows: 0, written, writer: record_writer_for(&self.config, &self.schema, output)? })
    }

    fn finish(&mut self, open: OpenFile) -> Result<()> {
        // Kept first, so that a failure leaves nothing that is not removed.
        self.done.push(StagedFile { staged: open.staged, path: open.path, size: 0, rows: open.rows, sha256: String::new() });
        let output = open.writer.finish().map_err(|error| error.at(self.staging.display().to_string()))?;
        let (sha256, output) = output.finish();
        let Some(staged) = self.done.last_mut() else { return Ok(()) };
        (staged.size, staged.sha256) = (open.written.load(Ordering::Relaxed), sha256);
        let path = self.staging.join(&staged.staged);
        let file = output.file.into_inner().map_err(|error| Error::io(format!("write {}", path.display()), error.into_error()))?;
        written(&path, file.into_file())
    }
}

impl SinkWriter for FilesWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        if records.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        let wrote = open.writer.write(records).map_err(|error| error.at(self.staging.join(&open.staged).display().to_string()));
        open.rows += records.num_rows() as u64;
        let size = open.written.load(Ordering::Relaxed) + open.writer.buffered_bytes() as u64;
        if wrote.is_ok() && size >= self.config.target_file_size.as_u64() {
            self.finish(open)?;
        } else {
            self.open = Some(open);
        }
        wrote.map(|()| Vec::new())
    }

    fn prepare(mut self: Box<Self>) -> Result<Value> {
        if let Some(open) = self.open.take() {
            self.finish(open)?;
        }
        self.prepared = true;
        prepared::write(&self.done)
    }
}

impl Drop for FilesWriter {
    /// What was not prepared will never be committed. Best effort: the next start removes what stays.
    fn drop(&mut self) {
        if self.prepared {
            return;
        }
        let open = self.open.as_ref().map(|open| &open.staged);
        for name in self.done.iter().map(|file| &file.staged).chain(open) {
            let _ = fs::remove_file(self.staging.join(name));
        }
    }
}

/// A file that counts the bytes that go into it, for one who does not hold it.
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
