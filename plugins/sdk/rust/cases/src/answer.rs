//! A plugin's answer to a case.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::rows::{self, TextRow};

/// How many rows a call has. The answer must not depend on it.
pub const ROWS_PER_CALL: [usize; 3] = [1, 7, 1_000];

/// The code with which the host rejects a record that a plugin fails on.
pub const FAULT_CODE: &str = "plugin-fault";

/// A plugin's answer to a case.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Rows and rejects.
    Rows(Rows),
    /// The configuration or the columns are refused.
    Refused {
        /// The reason, for readers.
        message: String,
        /// The part of the configuration to blame.
        config_path: Option<String>,
        /// The column to blame.
        column: Option<String>,
    },
    /// The input of the case can't be read; the text has the reason.
    Mistaken(String),
    /// The plugin or the machine is broken.
    Failed {
        /// How.
        message: String,
        /// What the plugin logged before.
        log: Vec<String>,
    },
}

/// Everything that came out, rows numbered over the whole input.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// What left by each port, in the order of ports.
    pub ports: Vec<PortRows>,
    /// The rejected rows, in increasing order.
    pub rejects: Vec<Reject>,
}

/// What left by one port.
#[derive(Debug, Clone, PartialEq)]
pub struct PortRows {
    /// The port's name.
    pub name: String,
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub rows: Vec<TextRow>,
    /// The input row of each row.
    pub origins: Vec<usize>,
}

/// A rejected input row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its index in the input, from 0.
    pub row: usize,
    /// The reason for programs.
    pub code: String,
    /// The column to blame.
    pub column: Option<String>,
    /// The reason, for readers.
    pub message: String,
}

impl Answer {
    /// A failure that left no log.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), log: Vec::new() }
    }

    /// Whether two answers have the same effect on a pipeline.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rows(rows), Self::Rows(other)) => rows.ports == other.ports && same_rejects(&rows.rejects, &other.rejects),
            (Self::Refused { .. }, Self::Refused { .. }) => true,
            (Self::Failed { message, .. }, Self::Failed { message: other, .. }) => message == other,
            (Self::Mistaken(message), Self::Mistaken(other)) => message == other,
            _ => false,
        }
    }
}

impl PortRows {
    /// A port by which nothing has left yet.
    pub fn none(name: &str, schema: &SchemaRef) -> Self {
        Self { name: name.to_owned(), schema: SchemaRef::clone(schema), rows: Vec::new(), origins: Vec::new() }
    }

    /// Adds rows, each with the input row that it comes from.
    ///
    /// # Errors
    /// A column can't be written as JSON.
    pub fn add(&mut self, records: &RecordBatch, origins: impl IntoIterator<Item = usize>) -> Result<(), String> {
        self.rows.extend(rows::to_text(records).map_err(|error| format!("port {}: {error}", self.name))?);
        self.origins.extend(origins);
        Ok(())
    }
}

/// The message of a fault may hold times and addresses; those of the plugin's own rejects may not.
fn same_rejects(rejects: &[Reject], others: &[Reject]) -> bool {
    let same = |(a, b): (&Reject, &Reject)| {
        (a.row, &a.code, &a.column) == (b.row, &b.code, &b.column) && (a.message == b.message || a.code == FAULT_CODE)
    };
    rejects.len() == others.len() && rejects.iter().zip(others).all(same)
}
