//! Fetches rows on the threads of clients: one statement, or with a cursor one for each round.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Row, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wasmill_engine::{Error, Mode, Result};

use super::position::Position;
use super::{Plan, wanted};
use crate::codes::{CURSOR, LATE_ROW, ORDER_BY};
use crate::connection::with_retries;
use crate::failure::Failure;
use crate::query::{Query, Statement};
use crate::record::Layout;

/// A message closes with so many rows or bytes, or when no row comes for a moment.
const MESSAGE_ROWS: usize = 1024;
const MESSAGE_BYTES: usize = 1 << 18;
const MOMENT: Duration = Duration::from_millis(20);

/// How often a statement is repeated without a row in between.
const TRIES: u32 = 5;
/// Greatest keys that wait for their delay: with more of them, new ones are noted less often.
const MARKS: u32 = 100;

const WHAT: &str = "read the rows of the query";

/// What a worker has for its reader.
pub(super) enum Message {
    Rows(Vec<Fetched>),
    /// Nothing any more.
    End,
}

/// A row that was fetched.
pub(super) struct Fetched {
    /// The row as JSON.
    pub record: Bytes,
    /// The column whose text is not UTF-8; the record is no JSON then.
    pub odd: Option<String>,
    /// Its key, as texts.
    pub key: Vec<String>,
    /// How many rows so far have its cursor.
    pub same: u64,
}

/// Fetches rows and hands them to a reader.
pub(super) struct Worker {
    plan: Arc<Plan>,
    sender: mpsc::Sender<Result<Message>>,
    /// How many rows were handed over, in earlier runs too.
    rows: u64,
    /// The key of the last row, as a checkpoint has it and as the server has it.
    key: Vec<String>,
    after: Option<Vec<Value>>,
    same: u64,
}

/// A connection with what is known of the query.
struct Session {
    client: Conn,
    query: Query,
    layout: Layout,
}

/// What the server has at one moment, with a cursor.
struct Seen {
    /// The greatest key.
    greatest: Option<Vec<Value>>,
    /// How many rows have the cursor of the last row that was read, and come no further.
    same: u64,
    /// Whether a row has a null in its key.
    has_null: bool,
    at: Instant,
}

impl Worker {
    pub(super) fn new(plan: Arc<Plan>, position: &Position, sender: mpsc::Sender<Result<Message>>) -> Self {
        Self { plan, sender, rows: position.rows, key: position.key.clone(), after: None, same: position.same }
    }

    /// Fetches all there is, and reports its end or what went wrong.
    pub(super) async fn run(mut self) {
        let outcome = match self.plan.config.cursor {
            None => self.read_all().await,
            Some(_) => self.follow().await,
        };
        // A reader that is gone needs no word.
        let _ = self.sender.send(outcome.map(|()| Message::End)).await;
    }

    /// All rows, by one statement.
    async fn read_all(&mut self) -> Result<()> {
        let mut session = None;
        self.fetch(&mut session, None).await
    }

    /// The rows behind the position, round by round. Each round notes the greatest key, and reads up to the
    /// greatest one that was noted a delay ago: whatever comes before it is visible by then.
    async fn follow(&mut self) -> Result<()> {
        let (delay, poll) = (self.plan.config.delay()?, self.plan.config.poll()?);
        let is_stream = self.plan.mode == Mode::Stream;
        let mut marks: VecDeque<(Instant, Vec<Value>)> = VecDeque::new();
        let mut session = None;
        loop {
            let begun = Instant::now();
            let seen = self.look(&mut session).await?;
            self.check(&seen)?;
            let is_due = marks.back().is_none_or(|(at, _)| seen.at - *at >= delay / MARKS);
            match seen.greatest {
                Some(greatest) if is_due => marks.push_back((seen.at, greatest)),
                None if !is_stream => return Ok(()),
                _ => {}
            }
            if !is_stream {
                tokio::time::sleep_until(seen.at + delay).await;
            }
            let mut ready = None;
            while let Some((at, _)) = marks.front()
                && at.elapsed() >= delay
            {
                ready = marks.pop_front();
            }
            if let Some((_, mark)) = ready {
                self.fetch(&mut session, Some(mark.as_slice())).await?;
            }
            if !is_stream {
                return Ok(());
            }
            let next = begun + poll;
            tokio::time::sleep_until(marks.front().map_or(next, |(at, _)| next.min(*at + delay)).max(begun + poll / 10)).await;
        }
    }

    /// What a round finds before it reads.
    async fn look(&mut self, session: &mut Option<Session>) -> Result<Seen> {
        let patience = self.plan.config.retry.time()?;
        let shown = self.plan.server.shown();
        let begun = std::time::Instant::now();
        loop {
            let mut connected = match session.take() {
                Some(connected) => connected,
                None => self.connect().await?,
            };
            match self.look_once(&mut connected).await {
                Ok(seen) => {
                    *session = Some(connected);
                    return Ok(seen);
                }
                // The connection is tried again, which waits between attempts.
                Err(failure) if failure.transient && begun.elapsed() < patience => {
                    tracing::warn!(server = %shown, error = %failure.error, "a poll was interrupted; it is repeated");
                    tokio::time::sleep(MOMENT).await;
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    async fn look_once(&self, session: &mut Session) -> Result<Seen, Failure> {
        let Session { client, query, .. } = session;
        let has_null = match query.null_key() {
            Some(statement) => first(client, statement).await?.is_some(),
            None => false,
        };
        let same = match &self.after {
            Some(key) => match first(client, query.same(key)).await?.and_then(|values| values.into_iter().next()) {
                Some(Value::Int(count)) => count.cast_unsigned(),
                Some(Value::UInt(count)) => count,
                _ => return Err(Error::bug("the server counted no rows").into()),
            },
            None => 0,
        };
        let greatest = first(client, query.greatest()).await?;
        // Of a key that can't be compared, no row would be found.
        let is_odd = |key: &Vec<Value>| query.key.iter().zip(key).any(|(column, value)| column.text(value).is_none());
        let has_null = has_null || greatest.as_ref().is_some_and(is_odd);
        Ok(Seen { greatest, same, has_null, at: Instant::now() })
    }

    /// What would lose rows without a trace.
    fn check(&self, seen: &Seen) -> Result<()> {
        let cursor = self.plan.config.cursor.as_deref().unwrap_or_default();
        if seen.has_null {
            return Err(Error::environment(format!(
                "a row has a null, or a date that is none, in `{cursor}` or in a column of `order_by`"
            ))
            .code(CURSOR)
            .hint("such a row is never behind another one: leave it out in a `query`, or name columns that are never null"));
        }
        if self.after.is_some() && seen.same > self.same {
            let last = self.key.first().map(String::as_str).unwrap_or_default();
            return Err(Error::environment(format!("{} rows came with {cursor} = {last} after it was read", seen.same - self.same))
                .code(LATE_ROW)
                .hint(
                    "raise `delay`: it has to be longer than transactions take, and than the step of a coarse time. Such rows are not read \
                    any more: read them by a run into emptied sinks, after `wasmill state reset`",
                ));
        }
        Ok(())
    }

    /// A new connection, with the columns of the query and where to resume.
    async fn connect(&mut self) -> Result<Session> {
        let plan = Arc::clone(&self.plan);
        let connect = || async {
            let mut client = plan.server.connect().await?;
            let query = Query::describe(&mut client, &plan.config).await?;
            let layout = query.layout(&wanted(&plan.schema))?;
            Ok(Session { client, query, layout })
        };
        let session = with_retries(plan.config.retry.time()?, &plan.server.shown(), connect).await?;
        if self.after.is_none() && !self.key.is_empty() {
            let values = session.query.key.iter().zip(&self.key).map(|(column, text)| column.value(text));
            let after = values.collect::<Option<Vec<_>>>().filter(|values| values.len() == session.query.key.len());
            let after = after.ok_or_else(|| {
                Error::environment("the columns that rows are sorted by have other types than when they were read")
                    .code(ORDER_BY)
                    .hint("start over with `wasmill state reset`, into emptied sinks")
            })?;
            self.after = Some(after);
        }
        Ok(session)
    }

    /// The rows behind the last one, up to a key; repeated from the last row on where that is possible.
    async fn fetch(&mut self, session: &mut Option<Session>, until: Option<&[Value]>) -> Result<()> {
        let mut tries = 0;
        loop {
            let mut connected = match session.take() {
                Some(connected) => connected,
                None => self.connect().await?,
            };
            let before = self.rows;
            let failure = match self.fetch_once(&mut connected, until).await {
                Ok(()) => {
                    *session = Some(connected);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            tries = if self.rows > before { 0 } else { tries + 1 };
            let can_repeat = self.rows == 0 || self.plan.config.key().next().is_some();
            if !failure.transient || !can_repeat || tries >= TRIES {
                return Err(failure.error);
            }
            tracing::warn!(server = %self.plan.server.shown(), error = %failure.error, "a query was interrupted; it is repeated from the last row on");
        }
    }

    async fn fetch_once(&mut self, session: &mut Session, until: Option<&[Value]>) -> Result<(), Failure> {
        let failed = |error| Failure::of(WHAT, error);
        let Session { client, query, layout } = session;
        let Statement { sql, parameters } = query.rows(&wanted(&self.plan.schema), self.after.as_deref(), until);
        let mut rows = client.exec_stream::<Row, _, _>(sql, positional(parameters)).await.map_err(failed)?;
        let (mut message, mut bytes) = (Vec::new(), 0);
        loop {
            let next = match message.is_empty() {
                true => Ok(rows.try_next().await),
                false => tokio::time::timeout(MOMENT, rows.try_next()).await,
            };
            let row = match next {
                Err(_) => None,
                Ok(Ok(None)) => break,
                Ok(Ok(Some(row))) => Some(row),
                Ok(Err(error)) => {
                    // The rows before a failure count: the repeated statement begins after them.
                    self.hand_over(&mut message).await?;
                    return Err(failed(error));
                }
            };
            let is_late = row.is_none();
            if let Some(row) = row {
                let fetched = self.fetched(query, layout, row)?;
                bytes += fetched.record.len();
                message.push(fetched);
            }
            if is_late || message.len() >= MESSAGE_ROWS || bytes >= MESSAGE_BYTES {
                self.hand_over(&mut message).await?;
                bytes = 0;
            }
        }
        self.hand_over(&mut message).await
    }

    async fn hand_over(&mut self, message: &mut Vec<Fetched>) -> Result<(), Failure> {
        if message.is_empty() {
            return Ok(());
        }
        let gone = |_| Error::bug("rows were fetched for a reader that is gone").into();
        self.sender.send(Ok(Message::Rows(std::mem::take(message)))).await.map_err(gone)
    }

    /// A row, and its place in the order.
    fn fetched(&mut self, query: &Query, layout: &Layout, row: Row) -> Result<Fetched> {
        let mut values = row.unwrap();
        let key = if query.key.is_empty() { Vec::new() } else { values.split_off(layout.width().min(values.len())) };
        if !query.key.is_empty() {
            self.advance(query, key)?;
        }
        self.rows += 1;
        let (record, odd) = layout.record(&values);
        Ok(Fetched { record: record.into(), odd: odd.map(str::to_owned), key: self.key.clone(), same: self.same })
    }

    /// Moves behind a row with this key.
    fn advance(&mut self, query: &Query, values: Vec<Value>) -> Result<()> {
        let named = if self.plan.config.cursor.is_some() { "`cursor` and `order_by`" } else { "`order_by`" };
        let texts: Option<Vec<String>> = query.key.iter().zip(&values).map(|(column, value)| column.text(value)).collect();
        let Some(texts) = texts.filter(|texts| texts.len() == query.key.len()) else {
            return Err(Error::environment(format!(
                "a row has a null, a date that is none, or a text that is not UTF-8 in a column of {named}"
            ))
            .code(ORDER_BY)
            .hint("rows are sorted by columns that are never null"));
        };
        if texts == self.key {
            return Err(Error::environment(format!("two rows have the same values in the columns of {named}: {}", texts.join(", ")))
                .code(ORDER_BY)
                .hint("`order_by` needs columns that identify a row, such as the primary key"));
        }
        self.same = match (&self.plan.config.cursor, self.key.first() == texts.first()) {
            (None, _) => 0,
            (Some(_), true) => self.same + 1,
            (Some(_), false) => 1,
        };
        (self.key, self.after) = (texts, Some(values));
        Ok(())
    }
}

fn positional(parameters: Vec<Value>) -> Params {
    if parameters.is_empty() { Params::Empty } else { Params::Positional(parameters) }
}

/// The first row of a statement.
async fn first(client: &mut Conn, statement: Statement) -> Result<Option<Vec<Value>>, Failure> {
    let row: Option<Row> = client
        .exec_first(statement.sql, positional(statement.parameters))
        .await
        .map_err(|error| Failure::of("look for new rows", error))?;
    Ok(row.map(Row::unwrap))
}
