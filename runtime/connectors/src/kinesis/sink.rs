//! The sink `kinesis`: rows wait in a spool and are put at commit; at least once.
//!
//! A stream takes no transactions and keeps no token. What was put is noted in a file beside the spool, so that a restart puts nothing again that had been
//! put as a whole. Only a crash between the first put of an epoch and this note doubles rows, and so does an answer that is lost.

mod config;
mod entry;
mod put;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;
use uuid::Uuid;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, RowReject, Sink, SinkWriter, Token, WriterContext, failpoint};

use super::api::Api;
pub use config::{Delivery, KinesisSinkConfig};
use entry::Encoder;
use put::Entries;

use crate::durable::{create_folder, owner_name, sync_folder, write_new};
use crate::spool::{LaneFile, Spool, SpoolFile};
use crate::{prepared, threads};

/// A sink into one stream.
pub struct KinesisSink {
    config: KinesisSinkConfig,
    encoder: Arc<Encoder>,
    spools: PathBuf,
    /// Connected by the first commit.
    api: OnceCell<Api>,
}

/// What all lanes prepared together. In the first format, files hold records as [`entry`] says.
#[derive(Debug, Serialize, Deserialize)]
struct Prepared {
    format: u32,
    stream: String,
    files: Vec<SpoolFile>,
}

impl Prepared {
    const FORMAT: u32 = 1;
}

impl KinesisSink {
    /// A sink for these columns, whose rows wait below the folder `spools`. Touches nothing.
    ///
    /// # Errors
    /// Configuration: bad options, or columns that do not fit them.
    pub fn new(config: KinesisSinkConfig, schema: &Schema, spools: PathBuf) -> Result<Self> {
        config.check()?;
        let encoder = Arc::new(Encoder::new(&config, schema)?);
        Ok(Self { config, encoder, spools, api: OnceCell::new() })
    }

    fn spool(&self, pipeline: &str, sink: &str) -> Spool {
        Spool::of(&self.spools, pipeline, sink)
    }

    fn note(&self, token: &Token) -> PathBuf {
        self.spools.join(format!("{}.put", owner_name(&token.pipeline, &token.sink)))
    }

    async fn put(&self, spool: &Spool, files: &[SpoolFile]) -> Result<()> {
        let patience = self.config.patience()?;
        let api = self.api.get_or_try_init(|| Api::new(&self.config.connection, &self.config.stream, patience)).await?;
        put::put(api, Entries::new(spool, files), self.config.is_ordered()).await
    }
}

impl Sink for KinesisSink {
    fn remembers(&self) -> bool {
        false
    }

    fn committed(&self, _: &str, _: &str) -> Result<Option<Committed>> {
        Ok(None)
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let file = LaneFile::new(self.spool(&context.pipeline, &context.sink), &context);
        Ok(Box::new(Writer { encoder: Arc::clone(&self.encoder), file, encoded: Vec::new() }))
    }

    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        let files = self.spool(&token.pipeline, &token.sink).collect(parts)?;
        prepared::write(&Prepared { format: Prepared::FORMAT, stream: self.config.stream.clone(), files })
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let prepared: Prepared = prepared::read(prepared, Prepared::FORMAT)?;
        let note = self.note(token);
        if read_note(&note)?.is_some_and(|noted| noted.incarnation == token.incarnation && noted.epoch >= token.epoch) {
            return Ok(CommitOutcome::Already);
        }
        if prepared.stream != self.config.stream {
            return Err(Error::environment(format!(
                "epoch {} was prepared for the stream {}, and the sink puts into {} now",
                token.epoch, prepared.stream, self.config.stream
            ))
            .hint("run the pipeline once with the stream that it had; then change it"));
        }
        let spool = self.spool(&token.pipeline, &token.sink);
        spool.check(&prepared.files)?;
        threads::handle()?.block_on(self.put(&spool, &prepared.files))?;
        failpoint::hit("kinesis-after-put");
        write_note(&note, &Committed { incarnation: token.incarnation, epoch: token.epoch })?;
        spool.remove(&prepared.files);
        Ok(CommitOutcome::Done)
    }

    fn adopt(&self, _: &Token) -> Result<()> {
        Ok(())
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.spool(&claim.pipeline, &claim.sink).clean_up()
    }
}

/// Writes the rows of one lane.
struct Writer {
    encoder: Arc<Encoder>,
    file: LaneFile,
    /// Encoded rows of the batch at hand.
    encoded: Vec<u8>,
}

impl SinkWriter for Writer {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        self.encoded.clear();
        let (rows, rejects) = self.encoder.encode(records, &mut self.encoded)?;
        self.file.write(&self.encoded, rows)?;
        Ok(rejects)
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        self.file.prepare()
    }
}

/// The last epoch that was put as a whole.
fn read_note(path: &Path) -> Result<Option<Committed>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::environment(format!("the note {} of what was put can't be read: {error}", path.display()))
                .hint("remove it, and the last epoch is put again")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("read {}", path.display()), error)),
    }
}

fn write_note(path: &Path, committed: &Committed) -> Result<()> {
    let folder = crate::durable::parent_of(path);
    create_folder(folder)?;
    let new = path.with_extension(format!("put-{}", Uuid::new_v4()));
    let bytes = serde_json::to_vec(committed).map_err(|error| Error::bug(format!("a note is no JSON: {error}")))?;
    write_new(&new, &bytes)?;
    fs::rename(&new, path).map_err(|error| Error::io(format!("write {}", path.display()), error))?;
    sync_folder(folder)
}
