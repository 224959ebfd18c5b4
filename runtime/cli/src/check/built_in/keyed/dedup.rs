//! Stages that drop duplicates.

use std::sync::Arc;

use arrow_schema::Field;
use wasmill_keyed::dedup::DedupSpec as Plan;
use wasmill_stages::keyed::{Deduplicating, KeyedOptions};

use super::super::{Around, Opened, SideColumns};
use super::{Finder, event_time, has_no_times, listed, micros, of_stage, shown, span_of_item};
use crate::check::draft::Declared;
use crate::diagnostics::Diagnostics;
use crate::plugins::OpenedStage;
use crate::spec::{DedupSpec, StageSpec};

/// Of the rows that are equal in some columns, the first passes.
#[derive(Debug, Clone)]
pub struct Dedup(pub DedupSpec);

impl Dedup {
    /// The columns that it names.
    pub fn names(&self) -> Vec<&str> {
        self.0.by.iter().chain(&self.0.time).map(String::as_str).collect()
    }

    /// As the plan shows it.
    pub fn describe(&self) -> String {
        let within = self.0.within.map(|within| format!(" within {}", shown(within))).unwrap_or_default();
        format!("drops duplicates by {}{within}", listed(self.0.by.iter().map(String::as_str)))
    }

    /// The opened stage, or `None` after what is wrong was reported.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        side: &SideColumns,
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn OpenedStage>> {
        let node = stage.node.get("dedup")?;
        let spec = &self.0;
        let is_timed = spec.time.is_some() || has_no_times(node, &["within", "delay", "idle"], diagnostics);
        let mut finder = Finder { stage: stage.name, side, around, diagnostics };
        let by = node.get("by");
        let keys = finder.keys(spec.by.iter().enumerate().map(|(index, name)| (name.as_str(), span_of_item(by, index, stage.name_span))));
        let time_span = node.get("time").map_or(stage.name_span, |time| time.span);
        let time = finder.time(spec.time.as_deref(), time_span);
        let (keys, time) = (keys?, time?);
        if !is_timed {
            return None;
        }
        let passing = |(column, field): (usize, &Arc<Field>)| {
            let is_read = keys.contains(&column) || time == Some(column) || !around.unread.contains(field.name());
            is_read.then_some(column)
        };
        let passing: Vec<usize> = side.schema.fields().iter().enumerate().filter_map(passing).collect();
        let plan = Plan { keys, event_time: time, within: spec.within.map(micros) };
        let event_time = time.is_some().then(|| event_time(spec.delay, spec.idle));
        let options = KeyedOptions { name: stage.name.into(), event_time, limits: around.limits };
        match Deduplicating::new(&side.schema, &passing, plan, options) {
            Ok(dedup) => Some(Arc::new(Opened::keyed(dedup))),
            Err(error) => {
                diagnostics.push(of_stage(stage.name, &error, node.get("within").map_or(node.span, |within| within.span)));
                None
            }
        }
    }
}
