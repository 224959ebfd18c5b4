//! An aggregate's declaration from its configuration: the columns that it takes, keeps and returns.

use arrow_schema::{DataType, Field, Fields, Schema};

use crate::bindings::wasmill::plugin::types::Crossing;
use crate::{Plan, Refusal};

/// An aggregate's declaration: columns in, columns of the state, columns out. [`Aggregate::plan`](crate::Aggregate::plan) fills it.
#[derive(Debug, Default)]
pub struct AggregatePlan {
    needs: Plan,
    pub(crate) state: Vec<Field>,
    pub(crate) output: Vec<Field>,
    pub(crate) state_version: u32,
}

impl AggregatePlan {
    pub(crate) fn new(needs: Plan) -> Self {
        Self { needs, ..Self::default() }
    }

    /// Requests a column and reads its values.
    pub fn read(&mut self, column: impl Into<String>, data_type: DataType) -> &mut Self {
        self.needs.read(column, data_type);
        self
    }

    /// Requests a column and reads its values, as a field: where it is not nullable, the host rejects rows with a null there.
    pub fn read_field(&mut self, field: Field) -> &mut Self {
        self.needs.want(field, true);
        self
    }

    /// The schema of the whole input: known when the plugin is opened, unknown when only its needs are queried.
    pub fn input(&self) -> Option<&Schema> {
        self.needs.input()
    }

    /// Adds a column of the state; it may hold nulls.
    pub fn state(&mut self, column: impl Into<String>, data_type: DataType) -> &mut Self {
        self.state_field(Field::new(column, data_type, true))
    }

    /// Adds a column of the state, as a field.
    pub fn state_field(&mut self, field: Field) -> &mut Self {
        self.state.push(field);
        self
    }

    /// The version of what the state means: 0 unless it is given. Raise it whenever a column of the state, or its meaning, changes; the host
    /// resumes stored state only with the version that wrote it.
    pub fn state_version(&mut self, version: u32) -> &mut Self {
        self.state_version = version;
        self
    }

    /// Adds a column of the results; it may hold nulls.
    pub fn output(&mut self, column: impl Into<String>, data_type: DataType) -> &mut Self {
        self.output_field(Field::new(column, data_type, true))
    }

    /// Adds a column of the results, as a field.
    pub fn output_field(&mut self, field: Field) -> &mut Self {
        self.output.push(field);
        self
    }

    /// The columns asked for and, for each, how much of it crosses.
    pub(crate) fn needs(&self) -> Result<(Schema, Vec<Crossing>), Refusal> {
        self.needs.needs()
    }

    /// Fixes the plan against the schema of the input.
    pub(crate) fn resolve(self, input: &Schema) -> Result<AggregateLayout, Refusal> {
        let crossing = self.needs.crossing(input)?;
        let (state, output) = (table("state", self.state)?, table("output", self.output)?);
        Ok(AggregateLayout { crossing, state, output, state_version: self.state_version })
    }
}

fn table(what: &str, fields: Vec<Field>) -> Result<Fields, Refusal> {
    if fields.is_empty() {
        return Err(Refusal::new(format!("the {what} has no columns")));
    }
    let twice = fields.iter().enumerate().find(|(index, field)| fields[..*index].iter().any(|other| other.name() == field.name()));
    match twice {
        Some((_, field)) => Err(Refusal::new(format!("the {what} would have two columns called {}", field.name()))),
        None => Ok(fields.into()),
    }
}

/// A plan that was fixed against an input.
#[derive(Debug)]
pub(crate) struct AggregateLayout {
    /// The columns that cross, in the order of the needs.
    pub(crate) crossing: Fields,
    pub(crate) state: Fields,
    pub(crate) output: Fields,
    pub(crate) state_version: u32,
}
