//! Stages that aggregate: computations in SQL and by plugins over the rows of each key.

use std::sync::Arc;

use serde_json::json;
use wasmill_keyed::operator::{AggregateSpec as Plan, Emit};
use wasmill_keyed::windows::Windows;
use wasmill_stages::keyed::{Aggregating, KeyedOptions, WINDOW_END, WINDOW_START, Work};

use super::super::{Around, Opened, Reported, SideColumns};
use super::computed::{Computed, Planned};
use super::{Finder, event_time, listed, micros, of_stage, shown, span_of_item};
use crate::check::draft::Declared;
use crate::check::stages::Asking;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::document::Node;
use crate::plugins::OpenedStage;
use crate::spec::{AggregateSpec, EmitSpec, Mode, StageSpec, WindowSpec};

/// Values computed from the rows of each key.
#[derive(Clone)]
pub struct Aggregate {
    spec: AggregateSpec,
    computed: Computed,
}

impl Aggregate {
    /// Reads the computations. What is wrong with them was reported.
    pub fn new(stage: &Declared<'_, StageSpec>, spec: &AggregateSpec, asking: &mut Asking<'_>) -> Result<Self, Reported> {
        let node = stage.node.get("aggregate").and_then(|node| node.get("compute")).ok_or(Reported)?;
        let computed = Computed::new(stage, &spec.compute, node, asking)?;
        Ok(Self { spec: spec.clone(), computed })
    }

    /// The columns that it names.
    pub fn names(&self) -> Vec<&str> {
        let keys = self.spec.by.iter().map(String::as_str);
        keys.chain(self.spec.window.iter().map(|window| window.time.as_str())).chain(self.computed.names()).collect()
    }

    /// The columns that its plugins need, with their types.
    pub fn needs(&self) -> impl Iterator<Item = &arrow_schema::Field> {
        self.computed.needs()
    }

    /// The column before it that passes under a name: a key.
    pub fn passes<'a>(&self, column: &'a str) -> Option<&'a str> {
        self.spec.by.iter().any(|key| key == column).then_some(column)
    }

    /// The columns by which a later result replaces an earlier one, and why there are such results. `None`: each result is emitted once.
    pub fn updates(&self, mode: Mode) -> Option<(Vec<String>, &'static str)> {
        let is_late = self.spec.window.as_ref().and_then(|window| window.allowed_lateness).is_some_and(|period| !period.0.is_zero());
        let why = match (self.spec.emit, mode) {
            (EmitSpec::EveryEpoch, _) => "emits running results",
            // At the end of a batch every window is emitted once.
            (EmitSpec::AtClose, Mode::Stream) if is_late => "emits a window again when late rows come",
            _ => return None,
        };
        let windows = self.spec.window.iter().flat_map(|_| [WINDOW_START, WINDOW_END]).map(str::to_owned);
        Some((self.spec.by.iter().cloned().chain(windows).collect(), why))
    }

    /// Whether its results are about the rows of one run. Running results go on in the next one, and windows of a stream take no more rows once they have
    /// closed.
    pub fn is_per_run(&self, mode: Mode) -> bool {
        self.spec.emit == EmitSpec::AtClose && (mode == Mode::Batch || self.spec.window.is_none())
    }

    /// As the plan shows it.
    pub fn describe(&self) -> String {
        let by = listed(self.spec.by.iter().map(String::as_str));
        let by = if by.is_empty() { String::new() } else { format!(" by {by}") };
        let window = match self.spec.window.as_ref().map(|window| (window.tumbling, window.sliding)) {
            Some((Some(size), _)) => format!(", windows of {}", shown(size)),
            Some((None, Some(sliding))) => format!(", windows of {} every {}", shown(sliding.size), shown(sliding.every)),
            _ => String::new(),
        };
        let emit = if self.spec.emit == EmitSpec::EveryEpoch { ", every epoch" } else { "" };
        format!("computes {}{by}{window}{emit}", self.computed.describe())
    }

    /// The opened stage, or `None` after what is wrong was reported.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        side: &SideColumns,
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn OpenedStage>> {
        let node = stage.node.get("aggregate")?;
        let mut finder = Finder { stage: stage.name, side, around, diagnostics };
        let by = node.get("by");
        let spans = (0..).map(|index| span_of_item(by, index, stage.name_span));
        let keys = finder.keys(self.spec.by.iter().map(String::as_str).zip(spans));
        let time_span = node.get("window").and_then(|window| window.get("time")).map_or(stage.name_span, |time| time.span);
        let time = finder.time(self.spec.window.as_ref().map(|window| window.time.as_str()), time_span);
        let windows = self.windows(stage, node, around, diagnostics);
        let planned = self.computed.open(stage, (side, self.updates(around.mode).is_some()), around, diagnostics);
        let (keys, time, windows) = (keys?, time?, windows?);
        let Planned { aggregate, columns, fingerprint } = planned?;
        let emit = match self.spec.emit {
            EmitSpec::AtClose => Emit::AtClose,
            EmitSpec::EveryEpoch => Emit::EveryEpoch,
        };
        let plan = Plan { keys, values: columns, event_time: time, windows, emit, aggregate };
        let event_time = self.spec.window.as_ref().map(|window| event_time(window.delay, window.idle));
        let options = KeyedOptions { name: stage.name.into(), event_time, limits: around.limits };
        match Aggregating::new(&side.schema, plan, &Work(json!({ "compute": fingerprint })), options) {
            Ok(aggregating) => Some(Arc::new(Opened::keyed(aggregating))),
            Err(error) => {
                diagnostics.push(of_stage(stage.name, &error, node.get("compute").map_or(node.span, |compute| compute.span)));
                None
            }
        }
    }

    /// The windows; `None` after what is wrong was reported.
    fn windows(&self, stage: &Declared<'_, StageSpec>, node: &Node, around: Around<'_>, diagnostics: &mut Diagnostics) -> Option<Windows> {
        let Some(window) = &self.spec.window else {
            if !around.ends && self.spec.emit == EmitSpec::AtClose {
                let message = format!("`{}` waits for the end of a stream: it has no windows and emits at their close", stage.name);
                let diagnostic = Diagnostic::error("endless-aggregate", message).at(node.span);
                diagnostics.push(
                    diagnostic
                        .help("for example: window: { tumbling: 1h, time: timestamp }")
                        .help("or running results, for a sink that upserts: emit: every_epoch")
                        .help("or let the stream end: --drain reads up to the ends that its sources have, and closes everything"),
                );
                return None;
            }
            return Some(Windows::none());
        };
        let at = node.get("window").unwrap_or(node);
        let windows = match sizes(window) {
            Some(windows) => windows,
            None => {
                let message = format!("the windows of `{}` are either `tumbling` or `sliding`", stage.name);
                let diagnostic = Diagnostic::error("missing-key", message).at(at.span);
                diagnostics.push(diagnostic.help("for example: tumbling: 1h, or sliding: { size: 1h, every: 10m }"));
                return None;
            }
        };
        match windows {
            Ok(windows) => Some(windows.with_allowed_lateness(window.allowed_lateness.map_or(0, micros))),
            Err(error) => {
                diagnostics.push(of_stage(stage.name, &error, at.span));
                None
            }
        }
    }
}

/// The windows of a size; `None` where none or two are given.
fn sizes(window: &WindowSpec) -> Option<wasmill_keyed::Result<Windows>> {
    match (window.tumbling, window.sliding) {
        (Some(size), None) => Some(Windows::tumbling(micros(size))),
        (None, Some(sliding)) => Some(Windows::sliding(micros(sliding.size), micros(sliding.every))),
        _ => None,
    }
}
