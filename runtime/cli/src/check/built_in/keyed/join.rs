//! Stages that join two inputs.

use std::sync::Arc;

use wasmill_keyed::join::{JoinKind, SideSpec};
use wasmill_stages::keyed::{Joining, KeyedOptions};

use super::super::{Around, Opened, SideColumns};
use super::{Finder, event_time, has_no_times, listed, micros, of_stage, shown, span_of_item};
use crate::check::draft::Declared;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::{Node, Span};
use crate::plugins::OpenedStage;
use crate::spec::{How, JoinSpec, JoinTime, Mode, StageSpec};

/// A row for each pair of rows that are equal in some columns.
#[derive(Debug, Clone)]
pub struct Join(pub JoinSpec);

impl Join {
    /// The columns of a side that it names.
    pub fn names(&self, side: usize) -> Vec<&str> {
        self.keys(side).chain(self.time(side)).collect()
    }

    fn keys(&self, side: usize) -> impl Iterator<Item = &str> {
        self.0.on.0.iter().map(move |key| if side == 0 { key.left.as_str() } else { key.right.as_str() })
    }

    fn time(&self, side: usize) -> Option<&str> {
        Some(match self.0.time.as_ref()? {
            JoinTime::Both(name) => name,
            JoinTime::Each(times) if side == 0 => &times.left,
            JoinTime::Each(times) => &times.right,
        })
    }

    /// As the plan shows it.
    pub fn describe(&self) -> String {
        let how = match self.0.how {
            How::Inner => "inner join",
            How::Left => "left join",
            How::Full => "full join",
        };
        let within = self.0.within.map(|within| format!(" within {}", shown(within))).unwrap_or_default();
        let (left, right) = (listed(self.keys(0)), listed(self.keys(1)));
        let on = if left == right { left } else { format!("{left} = {right}") };
        format!("{how} on {on}{within}")
    }

    /// Whether its pairs are of rows of one run. A stream has a bound, and rows within it that come after an end are late.
    pub fn is_per_run(&self, mode: Mode) -> bool {
        mode == Mode::Batch || self.0.within.is_none()
    }

    /// The opened stage, or `None` after what is wrong was reported.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        sides: [&SideColumns; 2],
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn OpenedStage>> {
        let node = stage.node.get("join")?;
        let spec = &self.0;
        let is_timed = spec.time.is_some() || has_no_times(node, &["within", "delay", "idle"], diagnostics);
        let mut fits = true;
        if !around.ends && spec.within.is_none() {
            let message = format!("`{}` joins a stream without `within`: every row would be kept for ever", stage.name);
            let diagnostic = Diagnostic::error("endless-join", message).at(node.span);
            diagnostics.push(
                diagnostic
                    .help("for example: within: 1h, and time: { left: timestamp, right: timestamp }")
                    .help("or let the stream end: --drain reads up to the ends that its sources have, and closes everything"),
            );
            fits = false;
        }
        let planned = [0, 1].map(|side| self.side(stage, node, side, Finder { stage: stage.name, side: sides[side], around, diagnostics }));
        let ([Some(left), Some(right)], true) = (planned, is_timed) else { return None };
        let kind = match spec.how {
            How::Inner => JoinKind::Inner,
            How::Left => JoinKind::Left,
            How::Full => JoinKind::Full,
        };
        let event_time = spec.time.is_some().then(|| event_time(spec.delay, spec.idle));
        let options = KeyedOptions { name: stage.name.into(), event_time, limits: around.limits };
        match Joining::new(kind, spec.within.map(micros), [left, right], options) {
            Ok(join) => fits.then(|| Arc::new(Opened::keyed(join)) as Arc<dyn OpenedStage>),
            Err(error) => {
                diagnostics.push(of_stage(stage.name, &error, node.get("on").map_or(node.span, |on| on.span)));
                None
            }
        }
    }

    fn side(&self, stage: &Declared<'_, StageSpec>, node: &Node, side: usize, mut finder: Finder<'_, '_>) -> Option<SideSpec> {
        let on = node.get("on");
        let spans = (0..self.0.on.0.len()).map(|index| span_of_key(on, index, side, stage.name_span));
        let keys = finder.keys(self.keys(side).zip(spans));
        let time_node = node.get("time");
        let time_node = time_node.and_then(|time| time.get(if side == 0 { "left" } else { "right" })).or(time_node);
        let time_span = time_node.map_or(stage.name_span, |time| time.span);
        let event_time = finder.time(self.time(side), time_span)?;
        Some(SideSpec { input: Arc::clone(&finder.side.schema), keys: keys?, event_time })
    }
}

/// Where `on` names a column of a side.
fn span_of_key(on: Option<&Node>, index: usize, side: usize, otherwise: Span) -> Span {
    match on.and_then(|on| on.entries()).and_then(|entries| entries.get(index)) {
        Some(entry) if side == 0 => entry.key_span,
        Some(entry) => entry.node.span,
        None => span_of_item(on, index, otherwise),
    }
}
