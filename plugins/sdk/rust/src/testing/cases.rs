//! Runs the case files of a folder natively, at several batch sizes.

use std::path::Path;

use wasmill_plugin_cases::{Answer, Case, PortRows, Reject, Rows, read_cases, run_case, verdict};

use super::driver::{self, Outcome, fault};
use crate::{Plugin, Refusal};

/// Runs every case in the `.yaml`, `.yml` and `.jsonl` files of a folder and returns how many there were.
///
/// ```ignore
/// #[test]
/// fn cases() {
///     assert!(wasmill_plugin::testing::cases::<CleanPin>(concat!(env!("CARGO_MANIFEST_DIR"), "/cases")) >= 10);
/// }
/// ```
///
/// # Panics
/// If a case fails, with all that differs in all cases; if a file can't be read or is not a case
/// file.
pub fn cases<T: Plugin>(folder: impl AsRef<Path>) -> usize {
    let cases = read_cases(folder.as_ref()).unwrap_or_else(|error| fault(&error.to_string()));
    let reports: Vec<_> = cases.iter().map(|case| run_case(case, |rows_per_call| answer::<T>(case, rows_per_call))).collect();
    verdict(&reports).unwrap_or_else(|wrong| fault(&wrong))
}

fn answer<T: Plugin>(case: &Case, rows_per_call: usize) -> Answer {
    let needs = match driver::input_schema::<T>(&case.config) {
        Ok(needs) => needs,
        Err(refusal) => return refused(&refusal),
    };
    let input = match case.input(&case.input_schema(&needs)) {
        Ok(input) => input,
        Err(mistake) => return Answer::Mistaken(mistake),
    };
    match driver::transform_batch::<T>(&case.config, &input, rows_per_call) {
        Ok(outcome) => rows(outcome).map_or_else(Answer::failed, Answer::Rows),
        Err(refusal) => refused(&refusal),
    }
}

pub(super) fn refused(refusal: &Refusal) -> Answer {
    Answer::Refused {
        message: refusal.message().to_owned(),
        config_path: refusal.config_path().map(str::to_owned),
        column: refusal.column().map(str::to_owned),
    }
}

fn rows(outcome: Outcome) -> Result<Rows, String> {
    let port = |port: driver::PortRows| {
        let mut rows = PortRows::none(&port.name, port.records.schema_ref());
        rows.add(&port.records, port.origins.into_iter().map(|row| row as usize))?;
        Ok(rows)
    };
    let reject =
        |reject: driver::RowReject| Reject { row: reject.row as usize, code: reject.code, column: reject.column, message: reject.message };
    let ports = outcome.ports.into_iter().map(port).collect::<Result<_, String>>()?;
    Ok(Rows { ports, rejects: outcome.rejects.into_iter().map(reject).collect() })
}
