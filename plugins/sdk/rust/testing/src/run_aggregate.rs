//! Runs a component that aggregates: in the host that pipelines use, under its default limits, in any cut and merge of a case's rows.

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use wasmill_host::{Aggregate, AggregateInstance, Grouped, Plugin};
use wasmill_plugin_cases::{Answer, Case, CaseGroups, CaseReport, Reject, Rows, Trial, nullable, run_aggregate_case};

use crate::run::answer_of;

/// Runs a case on a plugin that aggregates.
pub(crate) fn run_case(plugin: &Plugin, case: &Case) -> CaseReport {
    let opened = open(plugin, case);
    run_aggregate_case(case, |trial| match &opened {
        Ok(opened) => opened.run(trial).map_or_else(|failure| failure, Answer::Rows),
        Err(answer) => answer.clone(),
    })
}

struct Opened {
    aggregate: Aggregate,
    input: RecordBatch,
    groups: CaseGroups,
}

fn open(plugin: &Plugin, case: &Case) -> Result<Opened, Answer> {
    let needs = plugin.open(&case.config).aggregate_needs().map_err(answer_of)?;
    let schema = case.input_schema(&nullable(&needs.schema));
    let input = case.input(&schema).map_err(Answer::Mistaken)?;
    let groups = CaseGroups::of(case, &schema).map_err(Answer::Mistaken)?;
    let aggregate = plugin.open(&case.config).aggregate(schema).map_err(answer_of)?;
    Ok(Opened { aggregate, input, groups })
}

impl Opened {
    fn run(&self, trial: &Trial) -> Result<Rows, Answer> {
        let mut rejects = Vec::new();
        let mut parts = Vec::new();
        for batches in &trial.parts {
            let mut part = Part::of(&self.aggregate)?;
            for batch in batches {
                part.update(self, batch, &mut rejects)?;
            }
            parts.push(part);
        }
        let mut last = match parts.pop() {
            Some(part) if !trial.merged => part,
            one => {
                parts.extend(one);
                let mut merged = Part::of(&self.aggregate)?;
                parts.into_iter().try_for_each(|part| merged.take(part))?;
                merged
            }
        };
        if trial.again {
            let mut again = Part::of(&self.aggregate)?;
            again.take(last)?;
            last = again;
        }
        // Without key columns there is a group even without rows.
        if self.groups.of_rows.is_empty() {
            last.count = self.groups.count();
            let nothing = self.input.slice(0, 0);
            last.instance.update(&nothing, &[], last.count).map_err(answer_of)?;
        }
        let finished = last.instance.finish().map_err(answer_of)?;
        rejects.sort_by_key(|reject: &Reject| reject.row);
        let rejected: Vec<usize> = rejects.iter().map(|reject| reject.row).collect();
        let results = self.groups.results(&finished.records, &groups_of(&finished, last.count), &rejected);
        Ok(Rows { ports: vec![results.map_err(Answer::failed)?], rejects })
    }
}

/// An instance and how many groups it has.
struct Part {
    instance: AggregateInstance,
    count: u32,
}

impl Part {
    fn of(aggregate: &Aggregate) -> Result<Self, Answer> {
        Ok(Self { instance: aggregate.instance().map_err(answer_of)?, count: 0 })
    }

    fn update(&mut self, opened: &Opened, batch: &[usize], rejects: &mut Vec<Reject>) -> Result<(), Answer> {
        let rows = UInt32Array::from_iter_values(batch.iter().map(|&row| row as u32));
        let rows = take_record_batch(&opened.input, &rows).map_err(|error| Answer::failed(error.to_string()))?;
        let groups: Vec<u32> = batch.iter().filter_map(|&row| opened.groups.of_rows.get(row).copied()).collect();
        self.count = groups.iter().map(|group| group + 1).fold(self.count, u32::max);
        for reject in self.instance.update(&rows, &groups, self.count).map_err(answer_of)? {
            let Some(&row) = batch.get(reject.row as usize) else { continue };
            rejects.push(Reject { row, code: reject.code, column: reject.column, message: reject.message });
        }
        Ok(())
    }

    /// Takes the state of another instance and merges it into this one.
    fn take(&mut self, mut other: Self) -> Result<(), Answer> {
        self.count = self.count.max(other.count);
        let taken = other.instance.take_state().map_err(answer_of)?;
        let groups = groups_of(&taken, other.count);
        self.instance.merge(&taken.records, &groups, self.count).map_err(answer_of)
    }
}

fn groups_of(grouped: &Grouped, count: u32) -> Vec<u32> {
    grouped.groups.clone().unwrap_or_else(|| (0..count).collect())
}
