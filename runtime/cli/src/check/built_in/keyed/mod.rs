//! Stages that bring the rows of a key together: their columns are found, and what can't be right is refused.

mod aggregate;
mod computed;
mod dedup;
mod join;

use std::time::Duration;

use wasmill_engine::EventTime;
use wasmill_keyed::key::KeyCodec;
use wasmill_keyed::windows::event_times;

pub use aggregate::Aggregate;
pub use dedup::Dedup;
pub use join::Join;

use super::missing::column_missing;
use super::{Around, SideColumns};
use crate::check::of_connector::{about, finding};
use crate::diagnostics::{Diagnostic, Diagnostics, shorten};
use crate::document::{Node, Span};
use crate::spec::Period;

/// After how long a split without rows does not hold the watermark back, where the file does not say.
const IDLE: Duration = Duration::from_secs(60);

/// Finds the columns that a stage names, on one of its sides.
struct Finder<'a, 'd> {
    stage: &'a str,
    side: &'a SideColumns,
    around: Around<'a>,
    diagnostics: &'d mut Diagnostics,
}

impl Finder<'_, '_> {
    /// The index of a column; `None` after it was reported that there is none.
    fn column(&mut self, name: &str, span: Span) -> Option<usize> {
        let SideColumns { schema, beyond } = self.side;
        let found = schema.index_of(name).ok();
        if found.is_none() {
            self.diagnostics.push(column_missing(self.stage, name, span, (schema, beyond), self.around));
        }
        found
    }

    /// The indices of key columns, each with where it was written. `None` after what is wrong was reported.
    fn keys<'n>(&mut self, names: impl IntoIterator<Item = (&'n str, Span)>) -> Option<Vec<usize>> {
        let mut keys = Vec::new();
        let mut fits = true;
        for (name, span) in names {
            let Some(key) = self.column(name, span) else {
                fits = false;
                continue;
            };
            if keys.contains(&key) {
                self.diagnostics.push(Diagnostic::error("column-twice", format!("`{}` is listed twice", shorten(name, 80))).at(span));
                fits = false;
            } else if let Err(error) = KeyCodec::new(vec![self.side.schema.fields()[key].clone()]) {
                self.diagnostics.push(of_stage(self.stage, &error, span));
                fits = false;
            }
            keys.push(key);
        }
        fits.then_some(keys)
    }

    /// The index of a column of event time, if one is named. `None` after what is wrong was reported.
    fn time(&mut self, name: Option<&str>, span: Span) -> Option<Option<usize>> {
        let Some(name) = name else { return Some(None) };
        let column = self.column(name, span)?;
        let none = arrow_array::new_empty_array(self.side.schema.field(column).data_type());
        match event_times(&none, &mut Vec::new()) {
            Ok(_) => Some(Some(column)),
            Err(error) => {
                let message = format!("`{}`", shorten(name, 80));
                self.diagnostics.push(of_stage(self.stage, &error.at(message), span));
                None
            }
        }
    }
}

/// An error of a stage as a finding.
fn of_stage(stage: &str, error: &wasmill_engine::Error, span: Span) -> Diagnostic {
    finding(Diagnostic::error("bug", about(stage, error)), error, span)
}

/// How a stage follows event time, by the keys `delay` and `idle`.
fn event_time(delay: Option<Period>, idle: Option<Period>) -> EventTime {
    EventTime { delay: delay.map_or(Duration::ZERO, |delay| delay.0), idle: idle.map_or(IDLE, |idle| idle.0) }
}

/// Reports keys that mean nothing without an event time. True if there are none.
fn has_no_times(node: &Node, keys: &[&str], diagnostics: &mut Diagnostics) -> bool {
    let mut is_fine = true;
    for entry in keys.iter().filter_map(|key| node.entry(key)) {
        let message = format!("`{}` is about event time, and nothing says which column that is", entry.key);
        diagnostics.push(Diagnostic::error("missing-key", message).at(entry.key_span).help("add the column: time: timestamp"));
        is_fine = false;
    }
    is_fine
}

/// A time in microseconds; the most that 64 bits hold where it is longer.
fn micros(period: Period) -> i64 {
    i64::try_from(period.0.as_micros()).unwrap_or(i64::MAX)
}

/// Where a list names something: at its item, or at the whole where it is a single name.
fn span_of_item(node: Option<&Node>, index: usize, otherwise: Span) -> Span {
    let item = node.and_then(|node| node.items()).and_then(|items| items.get(index));
    item.or(node).map_or(otherwise, |node| node.span)
}

/// Periods as the file writes them.
fn shown(period: Period) -> String {
    humantime::format_duration(period.0).to_string()
}

/// The names of columns of a schema, for messages.
fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().map(|name| shorten(name, 80)).collect::<Vec<_>>().join(", ")
}
