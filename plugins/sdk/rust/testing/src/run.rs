//! Runs a component: in the host that pipelines use, under its default limits.

use std::ops::Range;

use arrow_array::RecordBatch;
use wasmill_host::{HostError, Plugin, Transform};
use wasmill_plugin_cases::{self as cases, Answer, Case, CaseReport, PortRows, Reject, Rows, nullable};

use crate::run_aggregate;

/// Runs a case on a plugin with each of [`ROWS_PER_CALL`](crate::ROWS_PER_CALL), under the limits that pipelines have by default. A case with
/// key columns, and any case of a plugin that only aggregates, runs as an aggregate; then also in random cuts, orders and merges of its rows.
pub fn run_case(plugin: &Plugin, case: &Case) -> CaseReport {
    if plugin.aggregates() && (case.has_key() || !plugin.transforms()) {
        return run_aggregate::run_case(plugin, case);
    }
    let opened = open(plugin, case);
    cases::run_case(case, |rows_per_call| match &opened {
        Ok((transform, input)) => transformed(transform, input, rows_per_call).map_or_else(|failure| failure, Answer::Rows),
        Err(answer) => answer.clone(),
    })
}

pub(crate) fn answer_of(error: HostError) -> Answer {
    match error {
        HostError::Refusal { message, config_path, column, .. } => Answer::Refused { message, config_path, column },
        HostError::Fault { ref log, .. } => {
            let log = log.clone();
            Answer::Failed { message: error.to_string(), log }
        }
        error => Answer::failed(error.to_string()),
    }
}

fn open(plugin: &Plugin, case: &Case) -> Result<(Transform, RecordBatch), Answer> {
    let needs = plugin.open(&case.config).needs().map_err(answer_of)?;
    let schema = case.input_schema(&nullable(&needs.schema));
    let input = case.input(&schema).map_err(Answer::Mistaken)?;
    let transform = plugin.open(&case.config).transform(schema).map_err(answer_of)?;
    Ok((transform, input))
}

fn transformed(transform: &Transform, input: &RecordBatch, rows_per_call: usize) -> Result<Rows, Answer> {
    let mut instance = transform.instance().map_err(answer_of)?;
    let ports = transform.ports().iter().map(|port| PortRows::none(&port.name, &port.schema)).collect();
    let mut found = Rows { ports, rejects: Vec::new() };
    for start in (0..input.num_rows()).step_by(rows_per_call) {
        let range = start..(start + rows_per_call).min(input.num_rows());
        let processed = instance.process(&input.slice(range.start, range.len())).map_err(|error| of_process(error, &range))?;
        for output in processed.outputs {
            let Some(port) = found.ports.get_mut(output.port) else { continue };
            let added = match output.origins {
                Some(origins) => port.add(&output.records, origins.into_iter().map(|row| start + row as usize)),
                None => {
                    let rejected = |row: &usize| processed.rejects.iter().any(|reject| start + reject.row as usize == *row);
                    port.add(&output.records, range.clone().filter(|row| !rejected(row)))
                }
            };
            added.map_err(Answer::failed)?;
        }
        found.rejects.extend(processed.rejects.into_iter().map(|reject| Reject {
            row: start + reject.row as usize,
            code: reject.code,
            column: reject.column,
            message: reject.message,
        }));
    }
    Ok(found)
}

/// A plugin that refuses while it processes does not refuse the case: the host turns it into a
/// fault.
fn of_process(error: HostError, rows: &Range<usize>) -> Answer {
    match answer_of(error) {
        Answer::Failed { message, log } => Answer::Failed { message: format!("rows {} to {}: {message}", rows.start, rows.end - 1), log },
        other => other,
    }
}
