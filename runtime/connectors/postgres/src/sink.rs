//! The Postgres sink.

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{Schema, SchemaRef};
use parking_lot::Mutex;
use serde_json::Value;
use wasmill_engine::{CommitOutcome, Committed, Depot, Error, Result, Sink, SinkWriter, Token, WriterContext};

use super::address::PostgresConnection;
use super::commit::Committer;
use super::config::PostgresConfig;
use super::connection::Server;
use super::layout::Layout;
use super::prepared::Prepared;
use super::sql::TableName;
use super::writer::PostgresWriter;
use crate::codes::TABLE_DIFFERS;
use wasmill_connect::codes::PREPARED_ELSEWHERE;
use wasmill_connect::columns_unknown;
use wasmill_connect::prepared;
use wasmill_connect::spool::Spool;

/// How long a start waits for a server at most: it may be starting too, but an address may also be wrong.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How long a check waits for a server.
const CHECK_PATIENCE: Duration = Duration::from_secs(3);

/// Writes into one table.
pub struct PostgresSink {
    /// Its columns; none where it only moves its token.
    planned: Option<(SchemaRef, Layout)>,
    depot: Arc<dyn Depot>,
    start_patience: Duration,
    /// A panic that holds it leaves at worst a connection, which its next use finds out about.
    committer: Mutex<Committer>,
    /// The layout for encoding rows, once the table's description was read.
    layout: Mutex<Option<Arc<Layout>>>,
}

impl PostgresSink {
    /// A sink for these columns, whose epochs wait for their commit in the depot of the pipeline's state. Connects to nothing; fails with class
    /// configuration if a table can't hold the columns.
    pub fn new(config: &PostgresConfig, schema: &Schema, depot: Arc<dyn Depot>) -> Result<Self> {
        config.check()?;
        let planned = Layout::plan(config, schema)?;
        Self::open(config, Some((Arc::new(schema.clone()), planned)), depot)
    }

    /// The sink as a command needs it that only moves its token and commits what was prepared: without columns, and so without writers.
    /// Connects to nothing.
    pub fn without_columns(config: &PostgresConfig, depot: Arc<dyn Depot>) -> Result<Self> {
        config.check()?;
        Self::open(config, None, depot)
    }

    fn open(config: &PostgresConfig, planned: Option<(SchemaRef, Layout)>, depot: Arc<dyn Depot>) -> Result<Self> {
        Ok(Self {
            planned,
            depot,
            start_patience: config.retry.time()?.min(START_PATIENCE),
            committer: Mutex::new(committer(config)?),
            layout: Mutex::default(),
        })
    }

    fn spool(&self, pipeline: &str, sink: &str) -> Spool {
        Spool::of(&self.depot, pipeline, sink)
    }

    /// The columns of the existing table, or of the one that the first commit will create.
    fn layout(&self) -> Result<Arc<Layout>> {
        let mut known = self.layout.lock();
        if let Some(layout) = known.as_ref() {
            return Ok(Arc::clone(layout));
        }
        let (schema, planned) = self.planned.as_ref().ok_or_else(|| columns_unknown("the sink"))?;
        let mut committer = self.committer.lock();
        let layout = match committer.describe(planned.upserts, self.start_patience)? {
            None => planned.clone(),
            Some(table) => planned.fit(&table, schema).map_err(|differences| {
                Error::environment(format!("the table {} does not fit: {}", committer.table, differences.join("; ")))
                    .code(TABLE_DIFFERS)
                    .hint("write into another table, or change this one")
            })?,
        };
        let layout = Arc::new(layout);
        *known = Some(Arc::clone(&layout));
        Ok(layout)
    }
}

fn committer(config: &PostgresConfig) -> Result<Committer> {
    let table = TableName::parse(&config.table)?;
    Ok(Committer::new(Server::new(&config.connection)?, table, (config.timeout, config.retry.time()?)))
}

impl Sink for PostgresSink {
    fn committed(&self, pipeline: &str, sink: &str) -> Result<Option<Committed>> {
        self.committer.lock().committed(pipeline, sink, self.start_patience)
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let spool = self.spool(&context.pipeline, &context.sink);
        Ok(Box::new(PostgresWriter::new(self.layout()?, spool, context)))
    }

    fn prepare(&self, token: &Token, parts: Vec<Value>) -> Result<Value> {
        let files = self.spool(&token.pipeline, &token.sink).collect(parts)?;
        let (layout, table) = (self.layout()?.as_ref().clone(), self.committer.lock().table.clone());
        prepared::write(&Prepared { format: Prepared::FORMAT, table, layout, files })
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let prepared = Prepared::read(prepared)?;
        let spool = self.spool(&token.pipeline, &token.sink);
        let mut committer = self.committer.lock();
        if prepared.table != committer.table {
            return Err(Error::environment(format!(
                "epoch {} was prepared for the table {}, and the sink writes into {} now",
                token.epoch, prepared.table, committer.table
            ))
            .code(PREPARED_ELSEWHERE)
            .hint("run the pipeline once with the table that it had; then change it"));
        }
        let outcome = committer.commit(token, &prepared, &spool)?;
        spool.remove(&prepared.files);
        Ok(outcome)
    }

    fn adopt(&self, token: &Token) -> Result<()> {
        self.committer.lock().adopt(token, self.planned.as_ref().map(|(_, layout)| layout))
    }

    fn clean_up(&self, claim: &Token) -> Result<()> {
        self.spool(&claim.pipeline, &claim.sink).clean_up(claim)
    }
}

/// How the columns of a pipeline differ from those of the existing table. `None` if there is no
/// table, or if the server can't be reached now. Reads only.
///
/// Fails with class configuration where no table could hold the columns, and with class environment
/// where the server refuses.
pub fn check_schema(config: &PostgresConfig, schema: &Schema) -> Result<Vec<String>> {
    config.check()?;
    let connection =
        PostgresConnection { connect_timeout: config.connection.connect_timeout.min(CHECK_PATIENCE), ..config.connection.clone() };
    let quick = PostgresConfig { connection, ..config.clone() };
    let mut committer = committer(&quick)?;
    let planned = Layout::plan(config, schema)?;
    match committer.describe_once(planned.upserts) {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(table)) => Ok(planned.fit(&table, schema).err().unwrap_or_default()),
        Err(failure) if failure.transient => {
            tracing::info!(error = %failure.error, "the table's description was not read");
            Ok(Vec::new())
        }
        Err(failure) => Err(failure.error),
    }
}
