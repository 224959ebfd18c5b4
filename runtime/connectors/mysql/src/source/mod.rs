//! The source `mysql`: the rows of a table or a query, in batch, and those that are added, as a
//! stream.
//!
//! Without a `cursor`, one statement is one state of the server and one split. A query has no order
//! of its own, so a run that ended between two epochs can resume only after a key: `order_by` names
//! columns that identify a row, the statement is sorted by them, and a position is the key of the
//! last row. With a `cursor`, the split never ends: each run, and a stream again and again, reads
//! the rows behind the position that have waited for the `delay`.

mod position;
mod reader;
mod worker;

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use sha2::{Digest, Sha256};
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_engine::{Discovery, Error, Mode, Progress, Result, Source, Split, SplitOpener, SplitReader};
use wasmill_formats::reading::without_reading;
use wasmill_reading::check_requested;

use self::position::Position;
use self::reader::RowsReader;
use crate::codes::{NO_ORDER, STREAM};
use crate::config::MysqlSourceConfig;
use crate::connection::{Server, block_on, with_retries};
use crate::query::Query;

/// The name of the only split.
const SPLIT: &str = "rows";
/// The prefix of columns that a source adds itself.
const RESERVED: &str = "_source.";

/// A source of rows of a server.
pub struct MysqlSource {
    name: Arc<str>,
    plan: Arc<Plan>,
    found: bool,
}

/// What is read, from where, and how.
struct Plan {
    config: MysqlSourceConfig,
    server: Server,
    schema: SchemaRef,
    mode: Mode,
    /// What is read, in a few digits: a checkpoint is of no use to another statement.
    statement: String,
}

impl MysqlSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included. Sends no request.
    ///
    /// # Errors
    /// Configuration: bad options, a requested type that the source can't give, or a stream without
    /// a cursor.
    pub fn new(name: &str, config: MysqlSourceConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        check_requested(&requested)?;
        if mode == Mode::Stream && config.cursor.is_none() {
            return Err(Error::configuration("a query ends: the source `mysql` has no stream without a `cursor`")
                .code(STREAM)
                .hint("name a column that grows with every row, `cursor: id`, or run it with `mode: batch`"));
        }
        let server = Server::new(&config.connection)?;
        let text = format!("{} {:?} {:?}", config.base_sql(), config.cursor, config.order_by);
        let statement = hex::encode(&Sha256::digest(text)[..8]);
        Ok(Self { name: name.into(), plan: Arc::new(Plan { config, server, schema: requested, mode, statement }), found: false })
    }
}

impl Source for MysqlSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.plan.schema)
    }

    fn is_endless(&self) -> bool {
        self.plan.mode == Mode::Stream
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let mut splits = Vec::new();
        if !self.found {
            if restored.keys().any(|id| &**id != SPLIT) {
                return Err(Error::environment("the checkpoint is of another source").code(STATE_OF_OTHER_SOURCE).hint(
                    "has the source been replaced by one of another kind? `wasmill state reset` drops the progress and starts over",
                ));
            }
            let plan = &self.plan;
            let begun = restored.get(SPLIT).map(|state| Ok((Position::read(&state.position, &plan.statement)?, state.done))).transpose()?;
            let (position, done) = begun.unwrap_or_default();
            let is_keyed = plan.config.key().next().is_some();
            if !done && position.rows > 0 && !is_keyed {
                return Err(Error::environment(format!(
                    "{} rows were read when the last run ended, and a query has no order to resume in",
                    position.rows
                ))
                .code(NO_ORDER)
                .hint(
                    "start over with `wasmill state reset`, into emptied sinks; `order_by` names columns that identify a row, and \
                        lets a run resume after the last one",
                ));
            }
            // Behind a cursor there may be more.
            if !done || plan.config.cursor.is_some() {
                splits.push(Split { id: SPLIT.into(), position: position.to_value(&plan.statement) });
            }
        }
        self.found = true;
        Ok(Discovery { splits, complete: true })
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener { name: Arc::clone(&self.name), plan: Arc::clone(&self.plan) })
    }
}

/// Opens the statement. It is sent when its first rows are read.
struct Opener {
    name: Arc<str>,
    plan: Arc<Plan>,
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let position = Position::read(&split.position, &self.plan.statement)?;
        Ok(Box::new(RowsReader::new(&self.name, Arc::clone(&self.plan), position)?))
    }
}

/// The columns of a table or a query, in the types of its rows.
///
/// # Errors
/// Environment: the server can't be reached, or refuses the query.
pub fn infer_schema(config: &MysqlSourceConfig) -> Result<SchemaRef> {
    config.check()?;
    let server = Server::new(&config.connection)?;
    let describe = || async {
        let mut client = server.connect().await?;
        let query = Query::describe(&mut client, config).await?;
        // What was asked for is here: how the connection ends does not matter.
        let _ = client.disconnect().await;
        Ok(query)
    };
    let query = block_on(with_retries(config.describe_for()?, &server.shown(), describe))??;
    Ok(query.schema())
}

/// The columns that are read, without those that the source adds.
fn wanted(schema: &Schema) -> Vec<&Field> {
    schema.fields().iter().map(AsRef::as_ref).filter(|field| !field.name().starts_with(RESERVED)).collect()
}
