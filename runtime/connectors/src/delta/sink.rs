//! The Delta sink.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_schema::Schema;
use serde_json::Value;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, Sink, SinkWriter, Token, WriterContext};

use super::commit::{self, Committer};
use super::config::{DeltaConfig, WriteMode};
use super::data_file::writer_properties;
use super::log::TableLog;
use super::prepared::{Part, Prepared, to_value};
use super::schema::{SchemaDifference, TableSchema};
use super::state::{MarkNames, TableState};
use super::writer::DeltaWriter;
use crate::durable::{create_folder, owner_name, remove_folder_of_files, sync_file, sync_folder};

/// The folder of a table in which files wait for their commit. Delta's readers and its vacuum pass over names that begin with `_`.
const STAGING: &str = "_wasmill";

/// What a process knows of the table, by pipeline and sink.
type Committers = HashMap<(String, String), Arc<Mutex<Committer>>>;

/// Writes into one Delta table.
pub struct DeltaSink {
    config: DeltaConfig,
    folder: PathBuf,
    schema: Arc<TableSchema>,
    committers: Mutex<Committers>,
}

impl DeltaSink {
    /// A sink for these columns. Touches nothing; fails with class configuration if a Delta table can't hold them.
    pub fn new(config: DeltaConfig, schema: &Schema) -> Result<Self> {
        config.check()?;
        let folder = config.folder()?;
        let schema = Arc::new(TableSchema::new(schema, &config.partition_by)?);
        Ok(Self { config, folder, schema, committers: Mutex::default() })
    }

    fn staging(&self, pipeline: &str, sink: &str) -> Result<PathBuf> {
        let folder = std::path::absolute(&self.folder).map_err(|error| Error::io(format!("find {}", self.folder.display()), error))?;
        Ok(folder.join(STAGING).join(owner_name(pipeline, sink)))
    }

    /// What this process knows of the table on behalf of one sink of one pipeline.
    fn committer(&self, pipeline: &str, sink: &str) -> Result<Arc<Mutex<Committer>>> {
        let mut committers = lock(&self.committers);
        let key = (pipeline.to_owned(), sink.to_owned());
        if let Some(committer) = committers.get(&key) {
            return Ok(Arc::clone(committer));
        }
        let (log, names) = (TableLog::new(&self.folder)?, MarkNames::new(pipeline, sink));
        let committer = Arc::new(Mutex::new(Committer::new(log, names, self.staging(pipeline, sink)?)));
        committers.insert(key, Arc::clone(&committer));
        Ok(committer)
    }

    fn prepared(&self, files: Vec<super::prepared::DataFile>) -> Prepared {
        Prepared {
            format: Prepared::FORMAT,
            write: self.config.write,
            schema: self.schema.json.clone(),
            partition_by: self.schema.partition_by.clone(),
            files,
        }
    }

    /// Best effort: the commit is done, and the table is whole without a checkpoint.
    fn checkpoint_log(&self, committer: &mut Committer, version: u64) {
        if self.config.checkpoint_every == 0 || version == 0 || !version.is_multiple_of(self.config.checkpoint_every) {
            return;
        }
        let clean = committer.look().map(|state| state.is_none_or(cleans_its_log));
        let checkpointed = clean.and_then(|clean| committer.log().checkpoint(version, clean));
        if let Err(error) = checkpointed {
            tracing::warn!(table = %self.folder.display(), version, %error, "the log of the Delta table was not checkpointed");
        }
    }
}

/// Whether expired entries of the table's log may go after Delta's own default time. A retention of the table's own is written
/// as an interval in words: such a table is left to those who set it.
fn cleans_its_log(state: &TableState) -> bool {
    state.property("delta.enableExpiredLogCleanup") != Some("false") && state.property("delta.logRetentionDuration").is_none()
}

/// A panic in another thread leaves at worst a state that is read anew.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for DeltaSink {
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        lock(&*self.committer(pipeline, sink)?).committed()
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let staging = self.staging(&context.pipeline, &context.sink)?;
        create_folder(&staging)?;
        let properties = writer_properties(self.config.compression);
        let target = self.config.target_file_size.as_u64();
        Ok(Box::new(DeltaWriter::new(Arc::clone(&self.schema), properties, context, staging, target)?))
    }

    /// Files become durable here and not when a lane's writer prepares: lanes go on with the next epoch while this waits for the disk.
    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        let mut files = Vec::new();
        for part in parts {
            let part: Part = serde_json::from_value(part).map_err(|error| Error::bug(format!("a part can't be read: {error}")))?;
            files.extend(part.files);
        }
        let staging = self.staging(&token.pipeline, &token.sink)?;
        for file in &files {
            sync_file(&staging.join(&file.staged))?;
        }
        if !files.is_empty() {
            sync_folder(&staging)?;
        }
        let prepared = self.prepared(files);
        // Once it is in a checkpoint, a commit that the table can't take would stop the pipeline for good.
        if let Some(state) = lock(&*self.committer(&token.pipeline, &token.sink)?).look()? {
            commit::check(state, &prepared)?;
        }
        to_value(&prepared)
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let prepared = Prepared::read(prepared)?;
        let committer = self.committer(&token.pipeline, &token.sink)?;
        let mut committer = lock(&committer);
        let (outcome, version) = committer.commit(token, &prepared)?;
        if let Some(version) = version {
            self.checkpoint_log(&mut committer, version);
        }
        Ok(outcome)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        lock(&*self.committer(&token.pipeline, &token.sink)?).adopt(token, &self.prepared(Vec::new()))
    }

    fn clean_up(&self, pipeline: &str, sink: &str) -> Result<()> {
        remove_folder_of_files(&self.staging(pipeline, sink)?)
    }
}

/// How the columns that a pipeline would write differ from those of the table that is there; none if there is no table, or if
/// it is overwritten. Reads only.
///
/// Fails with class configuration where no table could hold the columns, and with class environment where the table can't be read or asks more of its writers than this sink does.
pub fn check_schema(config: &DeltaConfig, schema: &Schema) -> Result<Vec<SchemaDifference>> {
    config.check()?;
    let pipeline = TableSchema::new(schema, &config.partition_by)?;
    let Some(state) = TableLog::new(&config.folder()?)?.open(None)? else { return Ok(Vec::new()) };
    state.check_writable(config.write == WriteMode::Overwrite)?;
    if config.write == WriteMode::Overwrite { Ok(Vec::new()) } else { state.differences(&pipeline) }
}
