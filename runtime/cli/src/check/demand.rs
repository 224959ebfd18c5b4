//! The columns requested from a source through built-in stages: those that plugins after them need,
//! and those that every path drops.

use arrow_schema::{Field, Schema};
use wasmill_stages::ColumnChange;

use super::stages::Asked;
use super::wiring::{Edge, Producer, Wiring};

/// What the readers of a source or stage request from it.
pub struct Demand {
    /// The columns that plugins need, by their names here, each with the stage that needs it.
    pub needs: Vec<(Field, usize)>,
    /// Whether a sink takes all columns.
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
        let mut demand = Demand { needs: Vec::new(), is_all: self.sinks_of(producer).next().is_some(), is_whole: true };
        for stage in self.stages_of(producer) {
            match &self.asked[stage] {
                None => demand.is_whole = false,
                Some(Asked::Plugin(plugin)) => {
                    demand.needs.extend(plugin.needs.columns.fields().iter().map(|field| (field.as_ref().clone(), stage)));
                }
                Some(Asked::BuiltIn(_)) if depth == 0 => {}
                Some(Asked::BuiltIn(change)) => {
                    let behind = self.demand_within(Producer::Stage(stage), depth - 1);
                    // A column that the stage has none to give for is reported where it is missing.
                    let needs = behind.needs.into_iter().filter_map(|(field, by)| renamed(change, field, by));
                    demand.needs.extend(needs);
                    demand.is_all |= behind.is_all;
                    demand.is_whole &= behind.is_whole;
                }
            }
        }
        demand
    }

    /// The sinks that a producer reaches with nothing but built-in stages between.
    pub fn sinks_behind(self, producer: Producer) -> Vec<usize> {
        let mut sinks: Vec<usize> = self.sinks_of(producer).collect();
        let mut producers: Vec<Producer> = vec![producer];
        let mut next = 0;
        while let Some(&producer) = producers.get(next) {
            next += 1;
            for (stage, _) in self.built_in(producer).filter(|(stage, _)| !producers.contains(&Producer::Stage(*stage))).collect::<Vec<_>>()
            {
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
        names.filter(|name| !self.is_wanted(Producer::Source(source), name, self.asked.len())).cloned().collect()
    }

    fn is_wanted(self, producer: Producer, column: &str, depth: usize) -> bool {
        if depth == 0 || self.sinks_of(producer).next().is_some() {
            return true;
        }
        let mut stages = self.stages_of(producer).peekable();
        // A source without readers is a mistake that is reported elsewhere.
        stages.peek().is_none()
            || stages.any(|stage| match &self.asked[stage] {
                // All inputs of a stage have the same columns: no single source can leave one out.
                Some(Asked::BuiltIn(change)) if self.wiring.stage_inputs[stage].len() == 1 => {
                    change.forward(column).is_some_and(|name| self.is_wanted(Producer::Stage(stage), name, depth - 1))
                }
                _ => true,
            })
    }

    fn built_in(self, producer: Producer) -> impl Iterator<Item = (usize, &'a ColumnChange)> {
        self.stages_of(producer).filter_map(move |stage| match &self.asked[stage] {
            Some(Asked::BuiltIn(change)) => Some((stage, change)),
            _ => None,
        })
    }

    fn stages_of(self, producer: Producer) -> impl Iterator<Item = usize> + 'a {
        readers(&self.wiring.stage_inputs, producer)
    }

    fn sinks_of(self, producer: Producer) -> impl Iterator<Item = usize> + 'a {
        readers(&self.wiring.sink_inputs, producer)
    }
}

fn readers(inputs: &[Vec<Edge>], producer: Producer) -> impl Iterator<Item = usize> {
    let reads = move |edges: &Vec<Edge>| edges.iter().any(|edge| edge.producer == producer);
    inputs.iter().enumerate().filter(move |(_, edges)| reads(edges)).map(|(index, _)| index)
}

/// A need behind a stage as one before it.
fn renamed(change: &ColumnChange, field: Field, by: usize) -> Option<(Field, usize)> {
    let name = change.back(field.name())?.to_owned();
    Some((field.with_name(name), by))
}
