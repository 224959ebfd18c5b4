//! What an opened aggregate keeps and returns: its state and its output, checked.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use wasmill_boundary::Encoding;

use crate::error::{Fault, FaultKind, Phase};
use crate::{contract, crossing, extra};

/// The tables of an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    pub state: SchemaRef,
    pub state_version: u32,
    pub output: SchemaRef,
}

/// Checks what `open` returned.
pub(crate) fn check(opened: &contract::OpenedAggregate, encoding: Encoding) -> Result<Shape, Fault> {
    extra::check(Phase::Open, &opened.extra)?;
    Ok(Shape {
        state: schema(&opened.state, encoding, "state")?,
        state_version: opened.state_version,
        output: schema(&opened.output, encoding, "output")?,
    })
}

fn schema(raw: &contract::Schema, encoding: Encoding, what: &str) -> Result<SchemaRef, Fault> {
    let bad = |message: String| Fault::answer(Phase::Open, message);
    let schema: Schema = crossing::read_schema(encoding, raw).map_err(|error| bad(format!("its {what}: {error}")))?;
    if schema.fields().is_empty() {
        return Err(bad(format!("its {what} has no columns; at least one is due")));
    }
    Ok(Arc::new(schema))
}

impl Shape {
    /// Checks that another instance opened with the same.
    pub fn check_stable(&self, other: &Self) -> Result<(), Fault> {
        let changed = [
            ("another state", self.state != other.state),
            ("another state version", self.state_version != other.state_version),
            ("another output", self.output != other.output),
        ];
        match changed.iter().find(|(_, changed)| *changed) {
            None => Ok(()),
            Some((what, _)) => {
                let message = format!("it changed its mind: a second instance opens with {what}");
                Err(Fault::new(Phase::Open, FaultKind::Unstable, message))
            }
        }
    }
}
