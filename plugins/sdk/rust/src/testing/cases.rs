//! Runs the case files of a folder natively, at several batch sizes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema};
use serde_json::Value;

use super::case::{Case, ExpectedReject, Rows};
use super::driver::{self, Outcome, PortRows, fault};
use super::{rows, yaml};
use crate::{Plugin, Refusal};

/// How many rows go into a call; an answer must not depend on it.
const ROWS_PER_CALL: [usize; 3] = [1, 7, 1_000];

/// Runs every case in the `.yaml` files of a folder and returns how many there were.
///
/// ```ignore
/// #[test]
/// fn cases() {
///     assert!(wasmill_plugin::testing::cases::<CleanPin>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")) >= 10);
/// }
/// ```
///
/// # Panics
/// If a case fails, with all that differs in all cases; if a file can't be read or is no case file.
pub fn cases<T: Plugin>(folder: impl AsRef<Path>) -> usize {
    let mut problems = Vec::new();
    let mut count = 0;
    for path in files(folder.as_ref()).unwrap_or_else(|error| fault(&error)) {
        match read(&path) {
            Ok(cases) => {
                count += cases.len();
                for case in &cases {
                    if let Err(problem) = run::<T>(case) {
                        problems.push(format!("{}: {}\n{problem}", path.display(), case.name));
                    }
                }
            }
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(problems.is_empty(), "{} of {count} cases fail\n\n{}", problems.len(), problems.join("\n\n"));
    count
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read the folder {}: {error}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let cases = yaml::documents(&text)?.into_iter().map(|document| {
        let case: Case = serde_json::from_value(document).map_err(|error| error.to_string())?;
        case.check().map_err(|error| format!("{}: {error}", case.name))?;
        Ok(case)
    });
    cases.collect()
}

fn run<T: Plugin>(case: &Case) -> Result<(), String> {
    for rows_per_call in ROWS_PER_CALL {
        let outcome = outcome::<T>(case, rows_per_call)?;
        let compared = match (&case.refusal, outcome) {
            (Some(expected), Err(refusal)) => compare_refusal(expected, &refusal),
            (Some(_), Ok(_)) => Err("  expected a refusal, and there was none".to_owned()),
            (None, Err(refusal)) => Err(format!("  refused: {refusal}")),
            (None, Ok(outcome)) => compare(case, &outcome),
        };
        compared.map_err(|problem| format!("  with {rows_per_call} rows a call:\n{problem}"))?;
    }
    Ok(())
}

fn outcome<T: Plugin>(case: &Case, rows_per_call: usize) -> Result<Result<Outcome, Refusal>, String> {
    let needs = match driver::input_schema::<T>(&case.config) {
        Ok(needs) => needs,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut fields: Vec<_> = needs.fields().iter().cloned().collect();
    for (name, data_type) in &case.schema {
        let data_type: DataType = data_type.parse().map_err(|error| format!("the type of column {name}: {error}"))?;
        fields.retain(|field| field.name() != name);
        fields.push(Arc::new(Field::new(name, data_type, true)));
    }
    let schema = Arc::new(Schema::new(fields.into_iter().collect::<Fields>()));
    let batch = rows::to_batch(&case.input, &schema)?;
    Ok(driver::transform_batch::<T>(&case.config, &batch, rows_per_call))
}

fn compare_refusal(expected: &super::case::ExpectedRefusal, refusal: &Refusal) -> Result<(), String> {
    if let Some(part) = expected.message_contains.as_deref().filter(|part| !refusal.message().contains(part)) {
        return Err(format!("  the refusal should contain {part:?}: {}", refusal.message()));
    }
    for (what, expected, found) in
        [("config_path", &expected.config_path, refusal.config_path()), ("column", &expected.column, refusal.column())]
    {
        if expected.is_some() && expected.as_deref() != found {
            return Err(format!("  {what} of the refusal should be {expected:?} and is {found:?}"));
        }
    }
    Ok(())
}

fn compare(case: &Case, outcome: &Outcome) -> Result<(), String> {
    let mut problems = Vec::new();
    for port in &outcome.ports {
        let expected = match &case.output {
            Some(Rows::One(rows)) if outcome.ports.len() == 1 => rows.as_slice(),
            Some(Rows::One(_)) => return Err("  the plugin has several ports: give `output` by port".to_owned()),
            Some(Rows::ByPort(ports)) => ports.get(&port.name).map_or(&[][..], Vec::as_slice),
            None => &[],
        };
        compare_rows(case, port, expected, &mut problems)?;
    }
    if let Some(Rows::ByPort(ports)) = &case.output {
        for name in ports.keys().filter(|name| outcome.port(name).is_none()) {
            problems.push(format!("  the plugin has no port {name}"));
        }
    }
    compare_rejects(&case.rejects, outcome, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn compare_rows(case: &Case, port: &PortRows, expected: &[Value], problems: &mut Vec<String>) -> Result<(), String> {
    // Expected rows are read with the output's types, so that a time or a number may be written in any way that means the same.
    let nullable: Fields = port.records.schema_ref().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let expected = rows::to_json(&rows::to_batch(expected, &Arc::new(Schema::new(nullable)))?)?;
    let found = port.rows();
    if expected.len() != found.len() {
        problems.push(format!("  port {}: expected {} rows, found {}", port.name, expected.len(), found.len()));
    }
    for (number, (expected, found)) in expected.iter().zip(&found).enumerate() {
        let (Some(expected), Some(found)) = (expected.as_object(), found.as_object()) else { continue };
        for (column, value) in found {
            let compared = case.columns.as_ref().is_none_or(|columns| columns.contains(column));
            let expected = expected.get(column).unwrap_or(&Value::Null);
            if compared && expected != value {
                problems.push(format!("  port {}, row {number}, {column}: expected {expected}, found {value}", port.name));
            }
        }
    }
    for column in case.columns.iter().flatten().filter(|column| port.records.schema_ref().field_with_name(column).is_err()) {
        problems.push(format!("  port {} has no column {column}", port.name));
    }
    Ok(())
}

fn compare_rejects(expected: &[ExpectedReject], outcome: &Outcome, problems: &mut Vec<String>) {
    for reject in &outcome.rejects {
        let Some(expected) = expected.iter().find(|expected| expected.row == reject.row) else {
            problems.push(format!("  row {} is rejected as {}: {}", reject.row, reject.code, reject.message));
            continue;
        };
        let message = expected.message.as_ref().is_none_or(|message| *message == reject.message)
            && expected.message_contains.as_ref().is_none_or(|part| reject.message.contains(part));
        if expected.code != reject.code || (expected.column.is_some() && expected.column != reject.column) || !message {
            problems.push(format!("  reject of row {}: expected {expected:?}, found {reject:?}", reject.row));
        }
    }
    for expected in expected.iter().filter(|expected| !outcome.rejects.iter().any(|reject| reject.row == expected.row)) {
        problems.push(format!("  row {} should be rejected as {}", expected.row, expected.code));
    }
}
