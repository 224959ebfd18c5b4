//! What the commands share that need a pipeline without mistakes: the check before, the error after.

use std::io::Write;

use wasmill_engine::Error;

use super::PipelineArguments;
use crate::check::{
    BuiltConnectors, Checked, Connectors, NewColumns, OfflineConnectors, ReachableConnectors, Report, Surroundings, check_with,
};
use crate::diagnostics::{Level, Style, render};
use crate::document::{PartialWorld, ProcessWorld, Redactor, World};
use crate::exit;
use crate::terminal::harmless;

/// Checks a pipeline and prints the findings to standard error. An error among them is returned as
/// an exit status.
pub fn check_or_exit(arguments: &PipelineArguments) -> Result<Checked, u8> {
    check_or_exit_with(arguments, &NewColumns::new())
}

/// The same with columns that occurred while it ran: earlier findings are not printed again, except
/// errors.
pub fn check_or_exit_with(arguments: &PipelineArguments, new_columns: &NewColumns) -> Result<Checked, u8> {
    show_findings(checked_by(arguments, &BuiltConnectors, new_columns), new_columns)
}

/// As [`check_or_exit`], with other connectors.
pub fn check_or_exit_by(arguments: &PipelineArguments, connectors: &dyn Connectors) -> Result<Checked, u8> {
    let none = NewColumns::new();
    show_findings(checked_by(arguments, connectors, &none), &none)
}

fn show_findings(report: wasmill_engine::Result<Report>, new_columns: &NewColumns) -> Result<Checked, u8> {
    let mut report = report.map_err(|error| fail(&error, &Redactor::default(), false))?;
    let least = if new_columns.is_empty() { Level::Warning } else { Level::Error };
    report.diagnostics.keep(least);
    let style = Style::of(&std::io::stderr());
    let _ = std::io::stderr().write_all(render(&report.diagnostics, &report.files, &report.redactor, style).as_bytes());
    report.pipeline.ok_or_else(|| report.diagnostics.class().map_or(exit::BUG, exit::status))
}

/// Checks a pipeline as `wasmill check` does: with the servers that take a connection, or offline with none, and without what is not set.
///
/// # Errors
/// The plugin host can't be set up.
pub fn checked(arguments: &PipelineArguments, is_offline: bool) -> wasmill_engine::Result<Report> {
    let none = NewColumns::new();
    match is_offline {
        true => checked_in(arguments, (&OfflineConnectors, &PartialWorld), &none),
        false => checked_in(arguments, (&ReachableConnectors, &ProcessWorld), &none),
    }
}

/// Checks a pipeline with the plugins of this process.
///
/// # Errors
/// The plugin host can't be set up.
pub fn checked_by(arguments: &PipelineArguments, connectors: &dyn Connectors, new_columns: &NewColumns) -> wasmill_engine::Result<Report> {
    checked_in(arguments, (connectors, &ProcessWorld), new_columns)
}

fn checked_in(
    arguments: &PipelineArguments,
    (connectors, world): (&dyn Connectors, &dyn World),
    new_columns: &NewColumns,
) -> wasmill_engine::Result<Report> {
    let redactor = Redactor::default();
    crate::logging::install(redactor.clone());
    let plugins = arguments.catalog()?;
    let surroundings = Surroundings { plugins: &plugins, connectors, world };
    Ok(check_with(&arguments.request_with(new_columns), surroundings, redactor))
}

/// Prints an error of a run: what, where, what to do. Returns its exit status.
pub fn fail(error: &Error, redactor: &Redactor, json: bool) -> u8 {
    if json {
        let value = serde_json::json!({
            "event": "failed",
            "class": error.class(),
            "code": error.kind().map(|code| code.name),
            "message": redactor.clean(&error.to_string()),
            "details": error.details().iter().map(|detail| redactor.clean(detail)).collect::<Vec<_>>(),
            "hint": error.hint_text().map(|hint| redactor.clean(hint)),
        });
        super::print(&format!("{value}\n"));
    }
    let code = error.kind().map(|code| format!("[{}]", code.name)).unwrap_or_default();
    let mut text = format!("error{code}: {error}\n");
    for detail in error.details() {
        text += &format!("  {}\n", detail.replace('\n', "\n  "));
    }
    if let Some(hint) = error.hint_text() {
        text += &format!("  help: {hint}\n");
    }
    let _ = std::io::stderr().write_all(harmless(&redactor.clean(&text)).as_bytes());
    exit::status(error.class())
}
