//! The Delta sink.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::Schema;
use parking_lot::Mutex;
use serde_json::Value;
use wasmill_engine::{CommitOutcome, Committed, Result, Sink, SinkWriter, Token, WriterContext, failpoint};

use super::commit::{self, Committer, TableCommit};
use super::config::{DeltaConfig, WriteMode};
use super::data_file::writer_properties;
use super::evolution::Fit;
use super::key;
use super::log::TableLog;
use super::place::Place;
use super::prepared::{DataFile, Part, Prepared};
use super::properties::Properties;
use super::schema::{SchemaDifference, TableSchema};
use super::staging::Staging;
use super::state::MarkNames;
use super::writer::{DeltaWriter, Writing};
use wasmill_connect::columns_unknown;
use wasmill_connect::durable::owner_name;
use wasmill_connect::prepared;
use wasmill_connect::staged::Claims;
use wasmill_objects::RetryTime;

/// One sink of one pipeline: what it has not committed yet, and what this process has read of the
/// table for it.
#[derive(Clone)]
struct Owner {
    staging: Staging,
    /// The table's requirements on writers at the last read.
    properties: Arc<Mutex<Properties>>,
    /// A panic while it is locked leaves at worst a state of the table that is read again.
    committer: Arc<Mutex<Committer>>,
}

/// By pipeline and sink.
type Owners = HashMap<(String, String), Owner>;

/// Writes into one Delta table.
pub struct DeltaSink {
    config: DeltaConfig,
    /// Its columns; none where it only moves its token.
    schema: Option<Arc<TableSchema>>,
    owners: Mutex<Owners>,
    claims: Claims,
}

impl DeltaSink {
    /// A sink for these columns. Touches nothing; fails with class configuration if a Delta table can't hold them.
    pub fn new(config: DeltaConfig, schema: &Schema) -> Result<Self> {
        config.check()?;
        let schema = Arc::new(key::table_schema(schema, &config.partition_by, &config.key)?);
        Ok(Self { schema: Some(schema), ..Self::without_columns(config)? })
    }

    /// The sink as a command needs it that only moves its token and commits what was prepared: without columns, and so without writers.
    /// Touches nothing.
    pub fn without_columns(config: DeltaConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config, schema: None, owners: Mutex::default(), claims: Claims::default() })
    }

    fn schema(&self) -> Result<&Arc<TableSchema>> {
        self.schema.as_ref().ok_or_else(|| columns_unknown(&format!("the Delta table {}", self.config.uri)))
    }

    fn owner(&self, pipeline: &str, sink: &str) -> Result<Owner> {
        let mut owners = self.owners.lock();
        let key = (pipeline.to_owned(), sink.to_owned());
        if let Some(owner) = owners.get(&key) {
            return Ok(owner.clone());
        }
        let place = Place::open(&self.config, RetryTime::Run(self.config.retry.time()?))?;
        let (staging, names) = (Staging::new(&place, pipeline, sink), MarkNames::new(pipeline, sink));
        let log = TableLog::new(place)?;
        let committer = Committer::new(log, names, staging.clone(), owner_name(pipeline, sink), self.config.compression);
        let owner = Owner { staging, properties: committer.properties(), committer: Arc::new(Mutex::new(committer)) };
        owners.insert(key, owner.clone());
        Ok(owner)
    }

    fn prepared(&self, files: Vec<DataFile>) -> Result<Prepared> {
        let schema = self.schema()?;
        Ok(Prepared {
            format: Prepared::FORMAT,
            write: self.config.write,
            key: self.config.key.clone(),
            schema: schema.json.clone(),
            partition_by: schema.partition_by.clone(),
            schema_evolution: self.config.schema_evolution,
            files,
        })
    }

    /// Best effort: the commit is done, and the table is whole without a checkpoint.
    fn checkpoint_log(&self, committer: &mut Committer, version: u64) {
        let properties = committer.properties().lock().clone();
        let every = properties.checkpoint_every(self.config.checkpoint_every);
        if every == 0 || version == 0 || !version.is_multiple_of(every) {
            return;
        }
        failpoint::hit("delta-before-log-checkpoint");
        if let Err(error) = committer.log().checkpoint(version, properties.log_retention) {
            tracing::warn!(table = %self.config.uri, version, %error, "the log of the Delta table was not checkpointed");
        }
    }
}

impl Sink for DeltaSink {
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        self.owner(pipeline, sink)?.committer.lock().committed()
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let owner = self.owner(&context.pipeline, &context.sink)?;
        let writing = Writing {
            properties: writer_properties(self.config.compression),
            indexed: owner.properties.lock().indexed.clone(),
            target_file_bytes: self.config.target_file_size.as_u64(),
            claim: self.claims.of(&context),
            key: self.config.key.clone(),
        };
        Ok(Box::new(DeltaWriter::new(Arc::clone(self.schema()?), writing, context, owner.staging)?))
    }

    /// Files become durable here and not when a lane's writer prepares, so that lanes continue with
    /// the next epoch meanwhile.
    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        // An upsert's rows count by lane.
        let mut parts = parts.into_iter().map(prepared::read_part).collect::<Result<Vec<Part>>>()?;
        parts.sort_by_key(|part| part.lane);
        let mut files: Vec<DataFile> = parts.into_iter().flat_map(|part| part.files).collect();
        let owner = self.owner(&token.pipeline, &token.sink)?;
        owner.staging.settle(&mut files)?;
        let prepared = self.prepared(files)?;
        // Once in a checkpoint, a commit that the table can't take would stop the pipeline
        // permanently.
        if let Some(state) = owner.committer.lock().refresh()? {
            commit::check(state, &prepared)?;
        }
        prepared::write(&prepared)
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let prepared = Prepared::read(prepared)?;
        let owner = self.owner(&token.pipeline, &token.sink)?;
        let mut committer = owner.committer.lock();
        let TableCommit { outcome, version } = committer.commit(token, &prepared)?;
        if let Some(version) = version {
            self.checkpoint_log(&mut committer, version);
        }
        Ok(outcome)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        self.owner(&token.pipeline, &token.sink)?.committer.lock().adopt(token, || self.prepared(Vec::new()))
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.claims.set(claim);
        let owner = self.owner(&claim.pipeline, &claim.sink)?;
        let is_ours = owner.committer.lock().committed()?.is_some_and(|committed| committed.incarnation == claim.incarnation);
        owner.staging.clean_up(claim, is_ours)
    }
}

/// How the columns of a pipeline differ from those of the existing table, where the table can't
/// evolve. `None` if there is no table, or if it is overwritten. Reads only.
///
/// Class configuration: no table could hold the columns. Class environment: the table can't be
/// read, or requires more of its writers than this sink supports.
pub fn check_schema(config: &DeltaConfig, schema: &Schema) -> Result<Vec<SchemaDifference>> {
    config.check()?;
    let pipeline = key::table_schema(schema, &config.partition_by, &config.key)?;
    let Some(state) = TableLog::new(Place::open(config, RetryTime::Check)?)?.open(None)? else { return Ok(Vec::new()) };
    state.check_writable(config.write)?;
    if config.write == WriteMode::Overwrite {
        return Ok(Vec::new());
    }
    match Fit::of_columns(&state, &pipeline, config.schema_evolution)? {
        Fit::Not(differences) => Ok(differences),
        Fit::AsItIs | Fit::Grown(_) => Ok(Vec::new()),
    }
}
