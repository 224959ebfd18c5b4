//! Ways to aggregate the same rows: cuts, orders and merges, between which the result must not differ.

use crate::answer::Answer;
use crate::case::Case;
use crate::difference::{Difference, Line};
use crate::laws::agree;

/// How many random ways each case is aggregated in.
const TRIALS: u64 = 24;

/// A way to aggregate rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Instances, each with batches of input rows by index. No batch is empty.
    pub parts: Vec<Vec<Vec<usize>>>,
    /// Whether the states of the instances are merged, in their order, into a fresh one. Otherwise there is one instance, which is finished.
    pub merged: bool,
    /// Whether that state is taken and merged once more before it is finished.
    pub again: bool,
}

impl Trial {
    /// All rows in one instance, so many per call.
    pub fn plain(rows: usize, rows_per_call: usize) -> Self {
        let all: Vec<usize> = (0..rows).collect();
        Self { parts: vec![all.chunks(rows_per_call).map(<[usize]>::to_vec).collect()], merged: false, again: false }
    }

    fn random(rows: &[usize], random: &mut fastrand::Rng) -> Self {
        let mut rows = rows.to_vec();
        random.shuffle(&mut rows);
        let mut parts = vec![Vec::new(); random.usize(1..=4)];
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let (batch, more) = rest.split_at(random.usize(1..=rest.len().min(5)));
            let part = random.usize(..parts.len());
            parts[part].push(batch.to_vec());
            rest = more;
        }
        Self { parts, merged: true, again: random.bool() }
    }

    /// The rows that it aggregates, in order.
    pub fn rows(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = self.parts.iter().flatten().flatten().copied().collect();
        rows.sort_unstable();
        rows
    }

    fn without(&self, row: usize) -> Self {
        let batch = |batch: &Vec<usize>| batch.iter().copied().filter(|other| *other != row).collect::<Vec<_>>();
        let part = |part: &Vec<Vec<usize>>| part.iter().map(batch).filter(|batch| !batch.is_empty()).collect();
        Self { parts: self.parts.iter().map(part).collect(), ..self.clone() }
    }

    /// Ways that are a little simpler.
    fn simpler(&self) -> Vec<Self> {
        let mut simpler: Vec<Self> = self.rows().into_iter().map(|row| self.without(row)).collect();
        if self.again {
            simpler.push(Self { again: false, ..self.clone() });
        }
        for index in 0..self.parts.len() {
            if self.parts[index].is_empty() && self.parts.len() > 1 {
                let mut parts = self.parts.clone();
                parts.remove(index);
                simpler.push(Self { parts, ..self.clone() });
            }
            if self.parts[index].len() > 1 {
                let mut parts = self.parts.clone();
                parts[index] = vec![self.parts[index].concat()];
                simpler.push(Self { parts, ..self.clone() });
            }
            if let Some(next) = self.parts.get(index + 1) {
                let mut parts = self.parts.clone();
                parts[index].extend(next.iter().cloned());
                parts.remove(index + 1);
                simpler.push(Self { parts, ..self.clone() });
            }
        }
        simpler
    }

    /// The same rows at once.
    fn at_once(&self) -> Self {
        let rows = self.rows();
        let batches = if rows.is_empty() { Vec::new() } else { vec![rows] };
        Self { parts: vec![batches], merged: false, again: false }
    }

    fn in_words(&self) -> String {
        let rows = |batch: &Vec<usize>| format!("[{}]", batch.iter().map(usize::to_string).collect::<Vec<_>>().join(", "));
        let part = |part: &Vec<Vec<usize>>| {
            if part.is_empty() { "no rows".to_owned() } else { part.iter().map(rows).collect::<Vec<_>>().join(" then ") }
        };
        let parts: Vec<String> = self.parts.iter().map(part).collect();
        let again = if self.again { ", taken and merged again" } else { "" };
        format!("rows {}, merged{again}", parts.join(" | "))
    }
}

/// The smallest way that was found in which the rows of a case give another result than at once; `None`: all agree.
pub(crate) fn disagreement(case: &Case, ask: &mut dyn FnMut(&Trial) -> Answer) -> Option<Difference> {
    let rows: Vec<usize> = (0..case.input.len()).collect();
    // The seed is fixed: a test fails every time or never.
    let mut random = fastrand::Rng::with_seed(rows.len() as u64);
    let mut differs = |trial: &Trial| {
        let (at_once, found) = (ask(&trial.at_once()), ask(trial));
        (!agree(&at_once, &found)).then_some((at_once, found))
    };
    let (mut trial, mut answers) = (0..TRIALS).find_map(|_| {
        let trial = Trial::random(&rows, &mut random);
        let answers = differs(&trial)?;
        Some((trial, answers))
    })?;
    while let Some((simpler, found)) = trial.simpler().into_iter().find_map(|simpler| Some((simpler.clone(), differs(&simpler)?))) {
        (trial, answers) = (simpler, found);
    }
    let shown_rows = trial.rows().into_iter().filter_map(|row| Some(Line::Note(format!("row {row}: {}", as_json(case.input.get(row)?)))));
    let (at_once, found) = answers;
    let mut lines: Vec<Line> = shown_rows.collect();
    lines.extend(shown(&at_once).into_iter().map(|text| Line::Expected(format!("at once: {text}"))));
    lines.extend(shown(&found).into_iter().map(|text| Line::Found(format!("{}: {text}", trial.in_words()))));
    Some(Difference::new("the result depends on how rows are cut and merged", lines))
}

fn as_json(row: &crate::rows::Row) -> String {
    serde_json::Value::Object(row.clone()).to_string()
}

fn shown(answer: &Answer) -> Vec<String> {
    match answer {
        Answer::Rows(rows) => {
            let names = |port: &crate::answer::PortRows| port.schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
            let row = |names: &[String], row: &crate::rows::TextRow| {
                let members = names.iter().zip(row).map(|(name, value)| format!("{name}: {value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            };
            let results = rows.ports.iter().flat_map(|port| {
                let names = names(port);
                port.rows.iter().map(move |values| row(&names, values)).collect::<Vec<_>>()
            });
            let rejects = rows.rejects.iter().map(|reject| format!("row {} rejected: {}", reject.row, reject.code));
            let all: Vec<String> = results.chain(rejects).collect();
            if all.is_empty() { vec!["nothing".to_owned()] } else { all }
        }
        Answer::Refused { message, .. } | Answer::Mistaken(message) | Answer::Failed { message, .. } => vec![message.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_way_has_every_row_once() {
        let rows: Vec<usize> = (0..17).collect();
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let trial = Trial::random(&rows, &mut random);
            assert_eq!(trial.rows(), rows);
            assert!(trial.parts.iter().flatten().all(|batch| !batch.is_empty()));
            assert!(
                trial.simpler().iter().all(|simpler| *simpler != trial && simpler.parts.iter().flatten().all(|batch| !batch.is_empty()))
            );
        }
    }

    #[test]
    fn every_way_becomes_simple_in_the_end() {
        let mut random = fastrand::Rng::with_seed(2);
        let mut trial = Trial::random(&(0..9).collect::<Vec<_>>(), &mut random);
        let mut steps = 0;
        while let Some(simpler) = trial.simpler().pop() {
            trial = simpler;
            steps += 1;
            assert!(steps < 1000);
        }
        assert_eq!(trial, Trial { parts: vec![Vec::new()], merged: true, again: false });
    }
}
