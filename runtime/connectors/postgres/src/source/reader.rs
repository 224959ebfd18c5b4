//! Reads the rows of one statement as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures::TryStreamExt;
use serde_json::Value;
use tokio::time::Instant;
use tokio_postgres::{Client, Row, RowStream};
use wasmill_engine::{Error, OriginalRecord, Payload, Read, Records, Result, SourceBatch, SplitReader};

use super::config::PostgresSourceConfig;
use super::query::{Query, connect};
use super::{Position, wanted};
use crate::codes::ORDER_BY;
use crate::connection::{Server, block_on, with_retries};
use crate::failure::Failure;
use wasmill_connect::BATCH_BYTES;
use wasmill_formats::RecordDecoder;
use wasmill_formats::json::JsonDecoder;
use wasmill_reading::Assembler;

/// How long a call waits for rows.
const WAIT: Duration = Duration::from_millis(40);
/// How often a statement is repeated without a row in between.
const TRIES: u32 = 5;
const WHAT: &str = "read the rows of the query";

/// A statement that runs.
struct Running {
    rows: Pin<Box<RowStream>>,
    /// The connection lives as long as this.
    _client: Client,
}

/// Reads all rows.
pub(super) struct RowsReader {
    config: Arc<PostgresSourceConfig>,
    server: Arc<Server>,
    assembler: Assembler,
    schema: SchemaRef,
    decoder: JsonDecoder,
    running: Option<Running>,
    position: Position,
    statement: String,
    tries: u32,
    ended: bool,
}

/// What a wait brought.
#[derive(Default)]
struct Came {
    rows: Vec<Bytes>,
    key: Option<Vec<String>>,
    ended: bool,
    failure: Option<Failure>,
}

impl RowsReader {
    pub(super) fn new(
        name: &Arc<str>,
        (config, server): (&Arc<PostgresSourceConfig>, &Arc<Server>),
        schema: &SchemaRef,
        position: Position,
        statement: String,
    ) -> Result<Self> {
        let assembler = Assembler::new(Arc::clone(name), config.shown().into(), Arc::clone(schema));
        let decoder = JsonDecoder::new(assembler.decoded_schema())?;
        let (config, server, schema) = (Arc::clone(config), Arc::clone(server), Arc::clone(schema));
        Ok(Self { config, server, assembler, schema, decoder, running: None, position, statement, tries: 0, ended: false })
    }

    /// Starts the statement after the position.
    fn begin(&self) -> Result<Running> {
        let begin = || {
            block_on(async {
                let client = connect(&self.server).await?;
                let query = Query::describe(&client, &self.config).await?;
                let sql = query.sql(&wanted(&self.schema), &self.config.order_by, &self.position.key)?;
                let rows = client.query_typed_raw::<String, _>(&sql, Vec::new()).await.map_err(|error| Failure::of(WHAT, error))?;
                Ok(Running { rows: Box::pin(rows), _client: client })
            })?
        };
        with_retries(self.config.retry.time()?, &self.server.shown(), begin)
    }

    /// The rows that come within a moment.
    async fn wait(running: &mut Running, last: &[String], max_rows: usize, keyed: bool) -> Came {
        let (mut came, mut bytes) = (Came::default(), 0);
        let deadline = Instant::now() + WAIT;
        while came.rows.len() < max_rows && bytes < BATCH_BYTES {
            let row = match tokio::time::timeout_at(deadline, running.rows.try_next()).await {
                Err(_) => break,
                Ok(Ok(Some(row))) => row,
                Ok(Ok(None)) => {
                    came.ended = true;
                    break;
                }
                Ok(Err(error)) => {
                    came.failure = Some(Failure::of(WHAT, error));
                    break;
                }
            };
            let (text, key) = match texts_of(&row) {
                Ok(read) => read,
                Err(error) => {
                    came.failure = Some(Failure::of(WHAT, error));
                    break;
                }
            };
            if keyed {
                match key_of(key.as_deref(), came.key.as_deref().unwrap_or(last)) {
                    Ok(key) => came.key = Some(key),
                    Err(error) => {
                        came.failure = Some(error.into());
                        break;
                    }
                }
            }
            bytes += text.len();
            came.rows.push(text.into());
        }
        came
    }

    /// Decodes rows, and moves the position behind them.
    fn decode(&mut self, rows: Vec<Bytes>, key: Option<Vec<String>>) -> Result<SourceBatch> {
        let (first, count) = (self.position.rows, rows.len());
        let bytes = rows.iter().map(|row| row.len() as u64).sum();
        let (mut rejects, mut keep) = (Vec::new(), Vec::with_capacity(count));
        for (index, row) in rows.iter().enumerate() {
            // What the server sends was a `String` before.
            match self.decoder.push(std::str::from_utf8(row).unwrap_or_default()) {
                Ok(()) => keep.push(index as u32),
                Err(bad) => rejects.push(self.assembler.reject(*bad, first + index as u64, OriginalRecord::Bytes(row.clone()))),
            }
        }
        let records = self.decoder.finish()?;
        let keep = (keep.len() < count).then_some(keep);
        let batch = self.assembler.batch(&records, Payload::Records(Box::new(Sent { first, rows })), keep.as_deref())?;
        self.position.rows += count as u64;
        self.position.key = key.unwrap_or_default();
        Ok(SourceBatch { batch, rejects, bytes })
    }

    /// Whether a failed statement may be repeated from where it was.
    fn again(&mut self, failure: Failure) -> Result<()> {
        self.running = None;
        let can = !self.config.order_by.is_empty() || self.position.rows == 0;
        if !failure.transient || !can || self.tries >= TRIES {
            return Err(failure.error);
        }
        self.tries += 1;
        tracing::warn!(server = %self.server.shown(), error = %failure.error, "a query was interrupted; it is repeated from the last row on");
        Ok(())
    }
}

/// A row as JSON, and its key.
fn texts_of(row: &Row) -> Result<(String, Option<String>), tokio_postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The key of a row that comes behind another one.
fn key_of(text: Option<&str>, last: &[String]) -> Result<Vec<String>> {
    let texts: Option<Vec<Option<String>>> = text.and_then(|text| serde_json::from_str(text).ok());
    let Some(texts) = texts else { return Err(Error::bug("the server gave no key of a row")) };
    let Some(key) = texts.into_iter().collect::<Option<Vec<String>>>() else {
        return Err(Error::environment("a row has a null in a column of `order_by`")
            .code(ORDER_BY)
            .hint("`order_by` needs columns that are never null"));
    };
    match key == last {
        true => Err(Error::environment("two rows have the same values in the columns of `order_by`")
            .code(ORDER_BY)
            .hint("`order_by` needs columns that identify a row, such as the primary key")),
        false => Ok(key),
    }
}

impl SplitReader for RowsReader {
    fn read(&mut self, max_rows: usize) -> Result<Read> {
        if self.ended {
            return Ok(Read::End);
        }
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.begin()?,
        };
        let keyed = !self.config.order_by.is_empty();
        let came = block_on(Self::wait(&mut running, &self.position.key, max_rows.max(1), keyed))?;
        self.running = Some(running);
        if came.rows.is_empty() {
            if let Some(failure) = came.failure {
                self.again(failure)?;
                return Ok(Read::Idle);
            }
            self.ended = came.ended;
            return Ok(if came.ended { Read::End } else { Read::Idle });
        }
        let batch = self.decode(came.rows, came.key)?;
        self.tries = 0;
        self.ended = came.ended;
        // The rows before a failure count: the repeated statement begins after them.
        if let Some(failure) = came.failure {
            self.again(failure)?;
        }
        Ok(Read::Batch(batch))
    }

    fn position(&self) -> Value {
        self.position.to_value(&self.statement)
    }
}

/// The rows as the server sent them.
#[derive(Debug)]
struct Sent {
    first: u64,
    rows: Vec<Bytes>,
}

impl Records for Sent {
    fn count(&self) -> usize {
        self.rows.len()
    }

    fn position(&self, index: usize) -> u64 {
        self.first + index as u64
    }

    fn bytes(&self, index: usize) -> Option<Bytes> {
        self.rows.get(index).cloned()
    }
}
