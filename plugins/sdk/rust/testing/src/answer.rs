//! What a plugin answers to a case: asked in the host that pipelines use, under the limits that they have by default.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, FieldRef, Schema, SchemaRef};
use wasmill_host::{FaultPolicy, HostError, Limits, Plugin, RowReject, Transform};

use crate::case::Case;
use crate::rows::{self, TextRow};

/// How many rows go into a call. The answer must not depend on it.
pub const ROWS_PER_CALL: [usize; 3] = [1, 7, 1_000];

/// The code with which the host rejects a record that a plugin fails on.
pub(crate) const FAULT_CODE: &str = "plugin-fault";

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Rows(Rows),
    Refused {
        message: String,
        config_path: Option<String>,
        column: Option<String>,
    },
    /// The input of the case can't be read.
    Mistaken(String),
    /// The plugin or the machine is broken.
    Failed {
        message: String,
        log: Vec<String>,
    },
}

/// Everything that came out, rows numbered over the whole input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    pub ports: Vec<PortRows>,
    pub rejects: Vec<RowReject>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PortRows {
    pub name: String,
    pub schema: SchemaRef,
    pub rows: Vec<TextRow>,
    /// The input row of each row.
    pub origins: Vec<usize>,
}

impl Answer {
    fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), log: Vec::new() }
    }

    fn of_error(error: HostError) -> Self {
        match error {
            HostError::Refusal { message, config_path, column, .. } => Self::Refused { message, config_path, column },
            HostError::Fault { ref log, .. } => {
                let log = log.clone();
                Self::Failed { message: error.to_string(), log }
            }
            error => Self::failed(error.to_string()),
        }
    }

    /// Whether two answers are the same to a pipeline.
    pub fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rows(rows), Self::Rows(other)) => rows.ports == other.ports && same_rejects(&rows.rejects, &other.rejects),
            (Self::Refused { .. }, Self::Refused { .. }) => true,
            (Self::Failed { message, .. }, Self::Failed { message: other, .. }) => message == other,
            _ => false,
        }
    }
}

/// The words in which a fault is put may hold times and addresses; those of the plugin's own rejects may not.
fn same_rejects(rejects: &[RowReject], others: &[RowReject]) -> bool {
    let same = |(a, b): (&RowReject, &RowReject)| {
        (a.row, &a.code, &a.column) == (b.row, &b.code, &b.column) && (a.message == b.message || a.code == FAULT_CODE)
    };
    rejects.len() == others.len() && rejects.iter().zip(others).all(same)
}

/// Asks for each of [`ROWS_PER_CALL`]; answers that are the same stand together.
pub(crate) fn ask(plugin: &Plugin, case: &Case) -> Vec<(Vec<usize>, Answer)> {
    let (transform, input) = match open(plugin, case) {
        Ok(opened) => opened,
        Err(answer) => return vec![(ROWS_PER_CALL.to_vec(), answer)],
    };
    let mut answers: Vec<(Vec<usize>, Answer)> = Vec::new();
    for rows_per_call in ROWS_PER_CALL {
        let answer = transformed(&transform, &input, rows_per_call).map_or_else(|failure| failure, Answer::Rows);
        match answers.iter_mut().find(|(_, other)| answer.agrees_with(other)) {
            Some((sizes, _)) => sizes.push(rows_per_call),
            None => answers.push((vec![rows_per_call], answer)),
        }
    }
    answers
}

fn open(plugin: &Plugin, case: &Case) -> Result<(Transform, RecordBatch), Answer> {
    let limits = Limits::default();
    let needs = plugin.prepare(&case.config, &limits).map_err(Answer::of_error)?;
    let mut fields: Vec<FieldRef> = rows::nullable(&needs.schema).fields().iter().cloned().collect();
    for (name, data_type) in &case.schema {
        let field = Arc::new(Field::new(name, data_type.clone(), true));
        match fields.iter_mut().find(|field| field.name() == name) {
            Some(known) => *known = field,
            None => fields.push(field),
        }
    }
    let schema = Arc::new(Schema::new(fields));
    let input = rows::to_batch(&case.input, &schema).map_err(Answer::Mistaken)?;
    let transform = plugin.transform(&case.config, schema, &limits, FaultPolicy::default()).map_err(Answer::of_error)?;
    Ok((transform, input))
}

fn transformed(transform: &Transform, input: &RecordBatch, rows_per_call: usize) -> Result<Rows, Answer> {
    let mut instance = transform.instance().map_err(Answer::of_error)?;
    let empty = |port: &wasmill_host::Port| PortRows {
        name: port.name.clone(),
        schema: Arc::clone(&port.schema),
        rows: Vec::new(),
        origins: Vec::new(),
    };
    let mut found = Rows { ports: transform.ports().iter().map(empty).collect(), rejects: Vec::new() };
    for start in (0..input.num_rows()).step_by(rows_per_call) {
        let range = start..(start + rows_per_call).min(input.num_rows());
        let processed = instance.process(&input.slice(range.start, range.len())).map_err(|error| of_process(error, &range))?;
        for output in processed.outputs {
            let Some(port) = found.ports.get_mut(output.port) else { continue };
            port.rows.extend(rows::to_text(&output.records).map_err(|error| Answer::failed(format!("port {}: {error}", port.name)))?);
            match output.origins {
                Some(origins) => port.origins.extend(origins.into_iter().map(|row| start + row as usize)),
                None => {
                    let rejected = |row: &usize| processed.rejects.iter().any(|reject| start + reject.row as usize == *row);
                    port.origins.extend(range.clone().filter(|row| !rejected(row)));
                }
            }
        }
        let offset = u32::try_from(start).unwrap_or(u32::MAX);
        found.rejects.extend(processed.rejects.into_iter().map(|reject| RowReject { row: reject.row + offset, ..reject }));
    }
    Ok(found)
}

/// A plugin that refuses while it processes does not refuse the case: the host makes a fault of it.
fn of_process(error: HostError, rows: &Range<usize>) -> Answer {
    match Answer::of_error(error) {
        Answer::Failed { message, log } => Answer::Failed { message: format!("rows {} to {}: {message}", rows.start, rows.end - 1), log },
        other => other,
    }
}
