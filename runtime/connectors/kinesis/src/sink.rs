//! The sink `kinesis`: rows wait in a spool and are put at commit; at least once.
//!
//! A stream has no transactions and keeps no token. What was put is noted next to the spool, so
//! that a restart does not repeat a complete put. Rows are duplicated only by a crash between the
//! first put of an epoch and this note, and by a lost response.

mod config;
mod entry;
mod put;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;
use wasmill_engine::depot::epoch_of;
use wasmill_engine::{
    CommitOutcome, Committed, Depot, DepotKey, Error, Result, RowReject, Sink, SinkWriter, Token, WriterContext, failpoint,
};

use super::api::Api;
use crate::codes::NOTE_DAMAGED;
pub use config::{Delivery, KinesisSinkConfig};
use entry::{Encoded, Encoder};
use put::Entries;

use wasmill_connect::codes::PREPARED_ELSEWHERE;
use wasmill_connect::columns_unknown;
use wasmill_connect::durable::owner_name;
use wasmill_connect::spool::{LaneFile, Spool, SpoolFile};
use wasmill_connect::{prepared, threads};

/// A sink into one stream.
pub struct KinesisSink {
    config: KinesisSinkConfig,
    /// Its columns; none where it only commits.
    encoder: Option<Arc<Encoder>>,
    depot: Arc<dyn Depot>,
    /// Connected by the first commit.
    api: OnceCell<Api>,
}

/// What all lanes prepared together. In the first format, files hold records as described in
/// [`entry`].
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
    /// A sink for these columns, whose rows wait in the depot of the pipeline's state. Touches nothing.
    ///
    /// # Errors
    /// Configuration: bad options, or columns that do not fit them.
    pub fn new(config: KinesisSinkConfig, schema: &Schema, depot: Arc<dyn Depot>) -> Result<Self> {
        config.check()?;
        let encoder = Arc::new(Encoder::new(&config, schema)?);
        Ok(Self { encoder: Some(encoder), ..Self::without_columns(config, depot)? })
    }

    /// The sink as a command needs it that only commits what was prepared: without columns, and so without writers. Touches nothing.
    ///
    /// # Errors
    /// Configuration: bad options.
    pub fn without_columns(config: KinesisSinkConfig, depot: Arc<dyn Depot>) -> Result<Self> {
        config.check()?;
        Ok(Self { config, encoder: None, depot, api: OnceCell::new() })
    }

    fn spool(&self, pipeline: &str, sink: &str) -> Spool {
        Spool::of(&self.depot, pipeline, sink)
    }

    fn notes(&self, token: &Token) -> Notes<'_> {
        Notes { depot: &*self.depot, owner: owner_name(&token.pipeline, &token.sink) }
    }

    async fn put(&self, spool: &Spool, files: &[SpoolFile]) -> Result<()> {
        let patience = self.config.retry.time()?;
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
        let encoder = self.encoder.as_ref().ok_or_else(|| columns_unknown("the sink"))?;
        Ok(Box::new(Writer { encoder: Arc::clone(encoder), file, encoded: Vec::new() }))
    }

    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        let files = self.spool(&token.pipeline, &token.sink).collect(parts)?;
        prepared::write(&Prepared { format: Prepared::FORMAT, stream: self.config.stream.clone(), files })
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let prepared: Prepared = prepared::read(prepared, Prepared::FORMAT)?;
        let notes = self.notes(token);
        if notes.has(token)? {
            return Ok(CommitOutcome::Already);
        }
        if prepared.stream != self.config.stream {
            return Err(Error::environment(format!(
                "epoch {} was prepared for the stream {}, and the sink now puts into {}",
                token.epoch, prepared.stream, self.config.stream
            ))
            .code(PREPARED_ELSEWHERE)
            .hint("run the pipeline once with the stream that it had; then change it"));
        }
        let spool = self.spool(&token.pipeline, &token.sink);
        spool.check(&prepared.files)?;
        threads::handle()?.block_on(self.put(&spool, &prepared.files))?;
        failpoint::hit("kinesis-after-put");
        notes.add(token)?;
        spool.remove(&prepared.files);
        Ok(CommitOutcome::Done)
    }

    fn adopt(&self, _: &Token) -> Result<()> {
        Ok(())
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.spool(&claim.pipeline, &claim.sink).clean_up(claim)
    }
}

/// Writes the rows of one lane.
struct Writer {
    encoder: Arc<Encoder>,
    file: LaneFile,
    /// Encoded rows of the present batch.
    encoded: Vec<u8>,
}

impl SinkWriter for Writer {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        self.encoded.clear();
        let Encoded { rows, rejects } = self.encoder.encode(records, &mut self.encoded)?;
        self.file.write(&self.encoded, rows)?;
        Ok(rejects)
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        self.file.prepare()
    }
}

/// Which epochs were put completely: files of the depot whose names record it.
struct Notes<'a> {
    depot: &'a dyn Depot,
    owner: String,
}

impl Notes<'_> {
    fn folder(&self) -> String {
        format!("put/{}", self.owner)
    }

    /// The epochs of one incarnation, with the names of their notes.
    fn of(&self, token: &Token) -> Result<Vec<(u64, String)>> {
        let names = self.depot.list(&self.folder())?.into_iter();
        let of = |name: String| epoch_of(&name).filter(|(_, by)| *by == Some(token.incarnation)).map(|(epoch, _)| (epoch, name));
        Ok(names.filter_map(of).collect())
    }

    fn has(&self, token: &Token) -> Result<bool> {
        if self.of(token)?.iter().any(|(epoch, _)| *epoch >= token.epoch) {
            return Ok(true);
        }
        // Wasmill 0.1 kept one note, and replaced it.
        let name = format!("spool/{}.put", self.owner);
        let Some(bytes) = self.depot.read(&name)? else { return Ok(false) };
        let noted: Committed = serde_json::from_slice(&bytes).map_err(|error| {
            Error::environment(format!("the note {} of what was put can't be read: {error}", self.depot.shown(&name)))
                .code(NOTE_DAMAGED)
                .hint("remove it, and the last epoch is put again")
        })?;
        Ok(noted.incarnation == token.incarnation && noted.epoch >= token.epoch)
    }

    /// Notes an epoch, and removes the notes of those before it.
    fn add(&self, token: &Token) -> Result<()> {
        let folder = self.folder();
        let key = DepotKey { folder: &folder, incarnation: token.incarnation, epoch: token.epoch, kind: "put" };
        self.depot.seal(&[self.depot.create(&key)?.finish()?])?;
        let old = self.of(token)?.into_iter().filter(|(epoch, _)| *epoch < token.epoch).map(|(_, name)| name);
        self.depot.remove(&old.collect::<Vec<_>>())
    }
}
