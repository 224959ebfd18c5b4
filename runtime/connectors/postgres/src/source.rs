//! The source `postgres`: the rows of a table or a query, in batch.
//!
//! One statement is one snapshot of the server and one split. The server turns each row into a JSON
//! object, which the decoder of every JSON source reads. Rows that do not convert are rejected one
//! by one, with the server's text. Rows are streamed: memory does not grow with the table.
//!
//! A query has no order of its own, so a run that ended between two epochs can resume only after a
//! key. `order_by` names columns that identify a row, the statement is sorted by them, and a
//! position is the key of the last row. Without it, a run that was interrupted after its first
//! epoch can't resume.

mod config;
mod query;
mod reader;

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wasmill_engine::{Discovery, Error, Mode, Progress, Result, Source, Split, SplitOpener, SplitReader};

pub use self::config::PostgresSourceConfig;
use self::query::Query;
use self::reader::RowsReader;
use super::connection::{Server, block_on, with_retries};
use crate::codes::{NO_ORDER, QUERY_CHANGED, STREAM};
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_formats::reading::without_reading;
use wasmill_reading::check_requested;

/// The name of the only split.
const SPLIT: &str = "rows";
/// The prefix of columns that a source adds itself.
const RESERVED: &str = "_source.";

/// A source of rows of a server.
pub struct PostgresSource {
    name: Arc<str>,
    config: Arc<PostgresSourceConfig>,
    server: Arc<Server>,
    schema: SchemaRef,
    found: bool,
}

/// How far the rows have been read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    rows: u64,
    /// The key of the last row, as texts; empty without `order_by` or before the first row.
    key: Vec<String>,
}

impl Position {
    fn to_value(&self, statement: &str) -> Value {
        json!({ "rows": self.rows, "key": self.key, "statement": statement })
    }

    fn read(value: &Value, statement: &str) -> Result<Self> {
        let bad = || {
            Error::environment("the checkpoint's position of a query is not understood")
                .code(STATE_OF_OTHER_SOURCE)
                .hint("has the source been replaced by one of another kind? `wasmill state reset` drops the progress and starts over")
        };
        if value["statement"].as_str() != Some(statement) {
            return Err(Error::environment("the query, the table or `order_by` are not those of which rows have been read already")
                .code(QUERY_CHANGED)
                .hint("put them back, or start over with `wasmill state reset`"));
        }
        let texts = value["key"].as_array().ok_or_else(bad)?.iter().map(|text| text.as_str().map(str::to_owned));
        let key = texts.collect::<Option<Vec<_>>>().ok_or_else(bad)?;
        Ok(Self { rows: value["rows"].as_u64().ok_or_else(bad)?, key })
    }
}

impl PostgresSource {
    /// A source named `name` in its pipeline that returns the columns of `requested`, reserved
    /// `_source.` columns included. Sends no request.
    ///
    /// # Errors
    /// Configuration: bad options, a requested type that the source can't give, or a stream.
    pub fn new(name: &str, config: PostgresSourceConfig, requested: SchemaRef, mode: Mode) -> Result<Self> {
        config.check()?;
        check_requested(&requested)?;
        if mode == Mode::Stream {
            return Err(Error::configuration("a query ends: the source `postgres` has no stream")
                .code(STREAM)
                .hint("run it with `mode: batch`"));
        }
        let server = Arc::new(Server::new(&config.connection)?);
        Ok(Self { name: name.into(), config: Arc::new(config), server, schema: requested, found: false })
    }

    /// What is read, in a few digits: a checkpoint is of no use to another statement.
    fn statement(&self) -> String {
        let text = format!("{} {:?}", self.config.base_sql(), self.config.order_by);
        hex::encode(&Sha256::digest(text)[..8])
    }
}

impl Source for PostgresSource {
    fn schema(&self) -> SchemaRef {
        without_reading(&self.schema)
    }

    fn discover(&mut self, restored: &Progress) -> Result<Discovery> {
        let mut splits = Vec::new();
        if let (false, None) = (self.found, restored.keys().find(|id| &***id != SPLIT)) {
            let statement = self.statement();
            let begun = restored.get(SPLIT).map(|state| Ok((Position::read(&state.position, &statement)?, state.done))).transpose()?;
            let (position, done) = begun.unwrap_or((Position { rows: 0, key: Vec::new() }, false));
            if !done && position.rows > 0 && self.config.order_by.is_empty() {
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
            if !done {
                splits.push(Split { id: SPLIT.into(), position: position.to_value(&statement) });
            }
        } else if !self.found {
            return Err(Error::environment("the checkpoint is of another source")
                .code(STATE_OF_OTHER_SOURCE)
                .hint("has the source been replaced by one of another kind? `wasmill state reset` drops the progress and starts over"));
        }
        self.found = true;
        Ok(Discovery { splits, complete: true })
    }

    fn opener(&self) -> Arc<dyn SplitOpener> {
        Arc::new(Opener {
            name: Arc::clone(&self.name),
            config: Arc::clone(&self.config),
            server: Arc::clone(&self.server),
            schema: Arc::clone(&self.schema),
            statement: self.statement(),
        })
    }
}

/// Opens the statement. It is sent when its first rows are read.
struct Opener {
    name: Arc<str>,
    config: Arc<PostgresSourceConfig>,
    server: Arc<Server>,
    schema: SchemaRef,
    statement: String,
}

impl SplitOpener for Opener {
    fn open(&self, split: &Split) -> Result<Box<dyn SplitReader>> {
        let position = Position::read(&split.position, &self.statement)?;
        let reader = RowsReader::new(&self.name, (&self.config, &self.server), &self.schema, position, self.statement.clone());
        Ok(Box::new(reader?))
    }
}

/// The columns of a table or a query, in the types of its rows.
///
/// # Errors
/// Environment: the server can't be reached, or refuses the query.
pub fn infer_schema(config: &PostgresSourceConfig) -> Result<SchemaRef> {
    config.check()?;
    let server = Server::new(&config.connection)?;
    let describe = || {
        block_on(async {
            let client = query::connect(&server).await?;
            Query::describe(&client, config).await
        })?
    };
    let query = with_retries(config.describe_for()?, &server.shown(), describe)?;
    Ok(query.schema())
}

/// The columns that are read, without those that the source adds.
fn wanted(schema: &Schema) -> Vec<&Field> {
    schema.fields().iter().map(AsRef::as_ref).filter(|field| !field.name().starts_with(RESERVED)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of this table and this order.
    const STATEMENT: &str = "19af0825a22bdd75";

    #[test]
    fn a_position_of_the_first_version_is_still_read() {
        let config = json!({"connection": {"host": "localhost"}, "table": "public.pins", "order_by": ["id"]});
        let config = serde_json::from_value(config).unwrap();
        let source = PostgresSource::new("pins", config, Arc::new(Schema::empty()), Mode::Batch).unwrap();
        let statement = source.statement();
        let position = Position::read(&json!({"rows": 5, "key": ["5"], "statement": STATEMENT}), &statement).unwrap();
        assert_eq!((position.rows, position.key), (5, vec!["5".to_owned()]));
    }
}
