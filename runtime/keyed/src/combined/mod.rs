//! Several aggregates over the same groups, as one.
//!
//! A state row belongs to one of the parts: its first column says to which, and the columns of the others are null.
//!
//! A row that one part refuses must be in none. A part that took a row can't give it back, so all parts but the first see a batch twice: an
//! accumulator of their own for trying says which rows they refuse, and is emptied. That holds because which rows a part refuses depends on the
//! rows alone, not on the groups: otherwise the results would depend on how rows are cut.

mod accumulator;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::{Accumulator, Aggregate, Error, Result};
use accumulator::{CombinedAccumulator, OpenPart};

/// One of several aggregates.
#[derive(Clone)]
pub struct Part {
    /// What is computed; one row per group.
    pub aggregate: Arc<dyn Aggregate>,
    /// Of the columns that the stage hands over, those that the part gets.
    pub columns: Vec<usize>,
    /// What it is called in messages.
    pub name: Arc<str>,
}

/// Several aggregates as one. Its output are the columns of the parts, one part after the other.
pub struct Combined {
    parts: Vec<Part>,
    state: SchemaRef,
    output: SchemaRef,
}

impl Combined {
    /// Combines some.
    ///
    /// # Errors
    /// A bug: there are more than 127.
    pub fn new(parts: Vec<Part>) -> Result<Self> {
        if i8::try_from(parts.len()).is_err() {
            return Err(Error::bug("too many aggregates in one stage"));
        }
        let mut state = vec![Arc::new(Field::new("part", DataType::Int8, false))];
        for (number, part) in parts.iter().enumerate() {
            let named =
                |field: &Arc<Field>| Arc::new(field.as_ref().clone().with_name(format!("{number}.{}", field.name())).with_nullable(true));
            state.extend(part.aggregate.state_schema().fields().iter().map(named));
        }
        let output = parts.iter().flat_map(|part| part.aggregate.output_schema().fields().to_vec()).collect::<Vec<_>>();
        Ok(Self { parts, state: Arc::new(Schema::new(state)), output: Arc::new(Schema::new(output)) })
    }
}

impl Aggregate for Combined {
    fn state_schema(&self) -> SchemaRef {
        Arc::clone(&self.state)
    }

    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.output)
    }

    fn may_refuse(&self) -> bool {
        self.parts.iter().any(|part| part.aggregate.may_refuse())
    }

    fn open(&self, lane: usize) -> Result<Box<dyn Accumulator>> {
        let mut parts = Vec::with_capacity(self.parts.len());
        // The first state column is that of the number of the part.
        let mut first_state = 1;
        for (number, part) in self.parts.iter().enumerate() {
            let probe = if number > 0 && part.aggregate.may_refuse() { Some(part.aggregate.open(lane)?) } else { None };
            let state = part.aggregate.state_schema();
            let states = first_state..first_state + state.fields().len();
            first_state = states.end;
            parts.push(OpenPart { accumulator: part.aggregate.open(lane)?, probe, part: part.clone(), state, states });
        }
        Ok(Box::new(CombinedAccumulator::new(parts, Arc::clone(&self.state), Arc::clone(&self.output))))
    }
}

#[cfg(test)]
mod tests;
