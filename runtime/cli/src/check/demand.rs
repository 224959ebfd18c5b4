//! The columns requested from a source through built-in stages: those that plugins after them need,
//! and those that every path drops.

use arrow_schema::{Field, Schema};

use super::built_in::BuiltIn;
use super::stages::Asked;
use super::wiring::{Edge, Producer, Wiring};

/// What the readers of a source or stage request from it.
pub struct Demand {
    /// The columns that plugins need, by their names here, each with the stage that needs it.
    pub needs: Vec<(Field, usize)>,
    /// The columns that expressions name, by their names here: of whatever type they are.
    pub names: Vec<String>,
    /// Whether a sink takes whatever there is.
    pub is_all: bool,
    /// Whether all readers could be queried.
    pub is_whole: bool,
}

/// The graph of a pipeline, as far as its stages responded.
#[derive(Clone, Copy)]
pub struct Readers<'a> {
    /// How the nodes hang together.
    pub wiring: &'a Wiring,
    /// What the stages do.
    pub asked: &'a [Option<Asked>],
}

impl<'a> Readers<'a> {
    /// What the readers of a producer request from it.
    pub fn demand(self, producer: Producer) -> Demand {
        self.demand_within(producer, self.asked.len())
    }

    /// `depth` bounds the stages on a way: stages that read from each other in a cycle are reported elsewhere.
    fn demand_within(self, producer: Producer, depth: usize) -> Demand {
        let mut demand = Demand { needs: Vec::new(), names: Vec::new(), is_all: self.sinks_of(producer).next().is_some(), is_whole: true };
        for (stage, side) in self.stages_of(producer) {
            match &self.asked[stage] {
                None => demand.is_whole = false,
                Some(Asked::Plugin(plugin)) => {
                    demand.needs.extend(plugin.needs.columns.fields().iter().map(|field| (field.as_ref().clone(), stage)));
                }
                Some(Asked::Broken) => demand.is_all = true,
                Some(Asked::BuiltIn(_)) if depth == 0 => {}
                Some(Asked::BuiltIn(built_in)) => {
                    let behind = self.demand_within(Producer::Stage(stage), depth - 1);
                    // A column that the stage has none to give for is reported where it is missing.
                    let needs = behind.needs.into_iter().filter_map(|(field, by)| renamed(built_in, field, by));
                    demand.needs.extend(needs.chain(built_in.needs().into_iter().map(|field| (field.clone(), stage))));
                    // Those that a `select` behind names and this one computes are its own affair.
                    let names = behind.names.iter().filter_map(|name| built_in.back(name));
                    demand.names.extend(names.chain(built_in.names(side)).map(str::to_owned));
                    // Of what is needed behind a join, nobody knows yet which side has it.
                    let is_everything = behind.is_all || built_in.sides() > 1;
                    demand.is_all |= is_everything && built_in.passes_others();
                    demand.is_whole &= behind.is_whole;
                }
            }
        }
        demand
    }

    /// The sinks that a producer reaches with nothing but stages between that pass every column.
    pub fn sinks_behind(self, producer: Producer) -> Vec<usize> {
        let mut sinks: Vec<usize> = self.sinks_of(producer).collect();
        let mut producers: Vec<Producer> = vec![producer];
        let mut next = 0;
        while let Some(&producer) = producers.get(next) {
            next += 1;
            let passing = self.built_in(producer).filter(|(_, built_in)| built_in.passes_others());
            for (stage, _) in passing.filter(|(stage, _)| !producers.contains(&Producer::Stage(*stage))).collect::<Vec<_>>() {
                sinks.extend(self.sinks_of(Producer::Stage(stage)));
                producers.push(Producer::Stage(stage));
            }
        }
        sinks
    }

    /// Whether a built-in stage reads from a producer, other built-in stages between or not.
    pub fn has_built_in(self, producer: Producer) -> bool {
        self.built_in(producer).next().is_some()
    }

    /// The columns of a source that are never read, because every stage that reads it drops them.
    pub fn left_out(self, source: usize, columns: &Schema) -> Vec<String> {
        let names = columns.fields().iter().map(|field| field.name());
        names.filter(|name| !self.is_wanted(Producer::Source(source), name, false, self.asked.len())).cloned().collect()
    }

    /// The columns of a stage's output that nobody behind it reads or names.
    pub fn unread(self, stage: usize, columns: &Schema) -> Vec<String> {
        let names = columns.fields().iter().map(|field| field.name());
        names.filter(|name| !self.is_wanted(Producer::Stage(stage), name, true, self.asked.len())).cloned().collect()
    }

    /// Whether somebody reads a column, or `named`: a stage that renames or drops it wants it as well, because it has to be there.
    fn is_wanted(self, producer: Producer, column: &str, named: bool, depth: usize) -> bool {
        if depth == 0 || self.sinks_of(producer).next().is_some() {
            return true;
        }
        let mut stages = self.stages_of(producer).peekable();
        // A source without readers is a mistake that is reported elsewhere.
        stages.peek().is_none()
            || stages.any(|(stage, side)| match &self.asked[stage] {
                // All inputs of a side have the same columns: no single source can leave one out.
                Some(Asked::BuiltIn(built_in)) if self.wiring.stage_inputs[stage].iter().filter(|edge| edge.side == side).count() == 1 => {
                    named && built_in.changes(column)
                        || built_in.wants(side, column, |name| self.is_wanted(Producer::Stage(stage), name, named, depth - 1))
                }
                _ => true,
            })
    }

    fn built_in(self, producer: Producer) -> impl Iterator<Item = (usize, &'a BuiltIn)> {
        self.stages_of(producer).filter_map(move |(stage, _)| match &self.asked[stage] {
            Some(Asked::BuiltIn(built_in)) => Some((stage, built_in)),
            _ => None,
        })
    }

    /// The stages that read from a producer, each with the side on which it does.
    fn stages_of(self, producer: Producer) -> impl Iterator<Item = (usize, usize)> + 'a {
        readers(&self.wiring.stage_inputs, producer)
    }

    fn sinks_of(self, producer: Producer) -> impl Iterator<Item = usize> + 'a {
        readers(&self.wiring.sink_inputs, producer).map(|(sink, _)| sink)
    }
}

fn readers(inputs: &[Vec<Edge>], producer: Producer) -> impl Iterator<Item = (usize, usize)> {
    inputs.iter().enumerate().flat_map(move |(index, edges)| {
        let reads = move |side: &usize| edges.iter().any(|edge| edge.producer == producer && edge.side == *side);
        (0..2).filter(reads).map(move |side| (index, side))
    })
}

/// A need behind a stage as one before it.
fn renamed(built_in: &BuiltIn, field: Field, by: usize) -> Option<(Field, usize)> {
    let name = built_in.back(field.name())?.to_owned();
    Some((field.with_name(name), by))
}
