//! The console sink.

use std::io::{IsTerminal, Write};

use arrow_array::RecordBatch;
use arrow_cast::display::ArrayFormatter;
use arrow_schema::{Schema, SchemaRef};
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmill_engine::{CommitOutcome, Committed, Error, Result, RowReject, Sink, SinkWriter, Token, WriterContext};

use super::cell::{cell, format_options, harmless, is_number};
use super::config::ConsoleConfig;
use super::table::{Column, grouped, layout};
use crate::codes::COLUMN;
use wasmill_connect::codes::PREPARED_UNREADABLE;
use wasmill_connect::prepared;

/// Displays the first rows of a run, and at its end how many more there were.
///
/// # What it keeps of the sink's contract
/// Rows are displayed when their epoch commits, never before. Within one process an epoch is
/// displayed once. A console has no memory beyond that: [`Sink::committed`] returns nothing, and a
/// commit that is sent again by another process displays its rows again.
pub struct ConsoleSink {
    columns: Vec<Column>,
    rows: u64,
    width: Option<u16>,
    shown: Mutex<Shown>,
}

struct Shown {
    output: Box<dyn Write + Send>,
    rows: u64,
    more: u64,
    last: Vec<Token>,
}

/// What one lane wrote: the rows that may be shown, and how many more there were.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rows {
    rows: Vec<Vec<Option<String>>>,
    more: u64,
}

impl ConsoleSink {
    /// A sink on standard output, as wide as the terminal. Without a terminal, nothing is
    /// truncated.
    pub fn stdout(config: &ConsoleConfig, schema: &Schema) -> Result<Self> {
        let width = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
        Self::new(config, schema, width, Box::new(std::io::stdout()))
    }

    /// A sink on any output. `width` is the terminal's in characters, if it is one.
    pub fn new(config: &ConsoleConfig, schema: &Schema, width: Option<u16>, output: Box<dyn Write + Send>) -> Result<Self> {
        config.check()?;
        let column = |field: &arrow_schema::FieldRef| Column { name: harmless(field.name()), number: is_number(field.data_type()) };
        let columns = schema.fields().iter().map(column).collect();
        let shown = Shown { output, rows: 0, more: 0, last: Vec::new() };
        Ok(Self { columns, rows: config.rows, width, shown: Mutex::new(shown) })
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock()
    }
}

impl Sink for ConsoleSink {
    fn remembers(&self) -> bool {
        false
    }

    fn committed(&self, _pipeline: &str, _sink: &str) -> Result<Option<Committed>> {
        Ok(None)
    }

    fn writer(&self, context: WriterContext) -> Result<Box<dyn SinkWriter>> {
        let left = self.rows.saturating_sub(self.shown().rows);
        Ok(Box::new(ConsoleWriter { schema: context.schema, left, rows: Rows::default() }))
    }

    fn prepare(&self, _token: &Token, parts: Vec<Value>) -> Result<Value> {
        let mut all = Rows::default();
        for part in parts {
            let part: Rows = prepared::read_part(part)?;
            all.rows.extend(part.rows);
            all.more += part.more;
        }
        let most = usize::try_from(self.rows).unwrap_or(usize::MAX);
        all.more += all.rows.len().saturating_sub(most) as u64;
        all.rows.truncate(most);
        serde_json::to_value(&all).map_err(|error| Error::bug(format!("a prepared commit is no JSON: {error}")))
    }

    fn commit(&self, token: &Token, prepared: &Value) -> Result<CommitOutcome> {
        let mut rows: Rows = serde_json::from_value(prepared.clone())
            .map_err(|error| Error::environment(format!("the prepared commit can't be read: {error}")).code(PREPARED_UNREADABLE))?;
        let mut shown = self.shown();
        let same = |last: &&mut Token| last.pipeline == token.pipeline && last.sink == token.sink;
        match shown.last.iter_mut().find(same) {
            Some(last) if last.incarnation == token.incarnation && last.epoch >= token.epoch => return Ok(CommitOutcome::Already),
            Some(last) => last.clone_from(token),
            None => shown.last.push(token.clone()),
        }
        let left = usize::try_from(self.rows.saturating_sub(shown.rows)).unwrap_or(usize::MAX);
        shown.more += rows.more + rows.rows.len().saturating_sub(left) as u64;
        rows.rows.truncate(left);
        if rows.rows.is_empty() {
            return Ok(CommitOutcome::Done);
        }
        shown.rows += rows.rows.len() as u64;
        let text = layout(&self.columns, &rows.rows, self.width);
        write(&mut shown.output, &text)?;
        Ok(CommitOutcome::Done)
    }

    fn adopt(&self, _token: &Token) -> Result<()> {
        Ok(())
    }

    fn clean_up(&self, _claim: &Token) -> Result<()> {
        Ok(())
    }
}

impl Drop for ConsoleSink {
    /// The run is over: prints how many rows were not displayed.
    fn drop(&mut self) {
        let mut shown = self.shown();
        if shown.more > 0 {
            let rows = if shown.more == 1 { "row" } else { "rows" };
            let line = format!("… and {} more {rows}\n", grouped(shown.more));
            // There is no caller left to report an error to.
            let _ = write(&mut shown.output, &line);
        }
    }
}

/// Writes to the console. A reader that closes early (`wasmill run … | head`) is not an error.
fn write(output: &mut Box<dyn Write + Send>, text: &str) -> Result<()> {
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("write to the console", error)),
        _ => Ok(()),
    }
}

struct ConsoleWriter {
    schema: SchemaRef,
    left: u64,
    rows: Rows,
}

impl SinkWriter for ConsoleWriter {
    fn write(&mut self, records: &RecordBatch) -> Result<Vec<RowReject>> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).saturating_sub(self.rows.rows.len());
        let taken = room.min(records.num_rows());
        self.rows.more += (records.num_rows() - taken) as u64;
        if taken == 0 {
            return Ok(Vec::new());
        }
        let options = format_options();
        let formatters: Vec<ArrayFormatter<'_>> = records
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(column, field)| {
                ArrayFormatter::try_new(column.as_ref(), &options).map_err(|error| {
                    Error::configuration(format!("the console can't display the column `{}`: {error}", field.name())).code(COLUMN)
                })
            })
            .collect::<Result<_>>()?;
        for row in 0..taken {
            let cells = records.columns().iter().zip(&formatters).map(|(column, formatter)| cell(column.as_ref(), formatter, row));
            self.rows.rows.push(cells.collect());
        }
        Ok(Vec::new())
    }

    fn prepare(self: Box<Self>) -> Result<Value> {
        prepared::write(&self.rows)
    }
}
