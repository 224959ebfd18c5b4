//! Aggregates in SQL: named values of groups, planned on columns.

mod accumulate;
mod accumulator;
mod call;
mod functions;
mod layout;
mod parsed;
mod plan;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use wasmill_engine::Result;
use wasmill_keyed::{Accumulator, Aggregate};

use accumulator::GroupAccumulator;
use call::Call;
use plan::Planned;

pub(crate) use call::text_of_call;
pub(crate) use functions::is_aggregate;
pub use functions::{AGGREGATES, AggregateDoc};
pub use parsed::ParsedAggregate;

use crate::expression::{Expression, Needed, needed};
use crate::problem::{ProblemKind, SqlProblem};

/// The version of what [`Aggregates`] write into states: the meaning of their columns. It belongs into the fingerprint of a stage.
pub const AGGREGATE_STATE_VERSION: u32 = 1;

/// Several named values of each group. Planned, immutable, shared by lanes.
#[derive(Debug, Clone)]
pub struct Aggregates {
    plan: Arc<Plan>,
}

/// What all lanes share.
#[derive(Debug)]
struct Plan {
    /// The columns of the input that are needed.
    columns: Vec<usize>,
    /// What is computed of each row, before anything is aggregated.
    values: Vec<RowValue>,
    calls: Vec<PlannedCall>,
    outputs: Vec<Output>,
    /// The values of the calls, as columns.
    finished: SchemaRef,
    state: SchemaRef,
    output: SchemaRef,
}

#[derive(Debug)]
struct RowValue {
    expression: Expression,
    /// The column of the output that needs it first.
    column: String,
}

#[derive(Debug)]
struct PlannedCall {
    text: String,
    planned: Planned,
    /// Its values, in the order of the planned inputs.
    values: Vec<usize>,
    /// The column of the output that needs it first.
    column: String,
}

#[derive(Debug)]
enum Output {
    /// The value of a call.
    Call(usize),
    /// An expression over the values of calls.
    Around(Expression),
}

impl Aggregates {
    /// Plans aggregates on the columns of an input: names and expressions, in the order of the output.
    ///
    /// # Errors
    /// What is wrong with the expressions, each with the name of its column.
    pub fn new(aggregates: &[(String, ParsedAggregate)], input: &Schema) -> Result<Self, Vec<(String, SqlProblem)>> {
        let mut planner = Planner::new(aggregates, input)?;
        let mut problems = Vec::new();
        for (name, parsed) in aggregates {
            for call in &parsed.calls {
                if let Err(found) = planner.call(name, call) {
                    problems.extend(found.into_iter().map(|problem| (name.clone(), problem)));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let plan = planner.finish(aggregates)?;
        Ok(Self { plan: Arc::new(plan) })
    }

    /// The columns of the input that [`Accumulator::update`] gets, in this order.
    pub fn columns(&self) -> &[usize] {
        &self.plan.columns
    }
}

impl Aggregate for Aggregates {
    fn state_schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.state)
    }

    fn output_schema(&self) -> SchemaRef {
        Arc::clone(&self.plan.output)
    }

    fn may_refuse(&self) -> bool {
        self.plan.values.iter().any(|value| !value.expression.is_column())
    }

    fn open(&self, _lane: usize) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(GroupAccumulator::new(Arc::clone(&self.plan))?))
    }
}

struct Planner {
    columns: Vec<usize>,
    /// The columns that are needed.
    needed: Schema,
    values: Vec<RowValue>,
    known_values: HashMap<String, usize>,
    calls: Vec<PlannedCall>,
    known_calls: HashMap<String, usize>,
}

impl Planner {
    fn new(aggregates: &[(String, ParsedAggregate)], input: &Schema) -> Result<Self, Vec<(String, SqlProblem)>> {
        let uses = aggregates.iter().flat_map(|(name, parsed)| parsed.columns().iter().map(move |used| (name.clone(), used)));
        let Needed { columns, schema: needed } = needed(uses, input)?;
        let (known_values, known_calls) = (HashMap::new(), HashMap::new());
        Ok(Self { columns, needed, values: Vec::new(), known_values, calls: Vec::new(), known_calls })
    }

    /// Plans a call, unless an equal one is planned already.
    fn call(&mut self, column: &str, call: &Call) -> Result<(), Vec<SqlProblem>> {
        if self.known_calls.contains_key(&call.text) {
            return Ok(());
        }
        let mut values = Vec::new();
        for argument in &call.arguments {
            let key = argument.ast.to_string();
            let index = match self.known_values.get(&key) {
                Some(&index) => index,
                None => {
                    let expression = Expression::new(argument, &self.needed).map_err(|problems| located(problems, &call.span))?;
                    self.values.push(RowValue { expression, column: column.to_owned() });
                    self.known_values.insert(key, self.values.len() - 1);
                    self.values.len() - 1
                }
            };
            values.push(index);
        }
        let types: Vec<_> = values.iter().map(|&index| self.values[index].expression.data_type().clone()).collect();
        let planned = Planned::new(call, &types).map_err(|problem| vec![problem])?;
        if planned.takes_last_first() {
            values.reverse();
        }
        self.known_calls.insert(call.text.clone(), self.calls.len());
        self.calls.push(PlannedCall { text: call.text.clone(), planned, values, column: column.to_owned() });
        Ok(())
    }

    /// The outputs over the calls, and all schemas.
    fn finish(self, aggregates: &[(String, ParsedAggregate)]) -> Result<Plan, Vec<(String, SqlProblem)>> {
        let finished = self.calls.iter().map(|call| Field::new(&call.text, call.planned.output.clone(), call.planned.nullable));
        let finished = Schema::new(finished.collect::<Vec<_>>());
        let (mut outputs, mut fields, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (name, parsed) in aggregates {
            let plain = parsed.calls.first().filter(|_| parsed.is_plain_call()).and_then(|call| self.known_calls.get(&call.text));
            if let Some(&index) = plain {
                fields.push(finished.field(index).clone().with_name(name));
                outputs.push(Output::Call(index));
                continue;
            }
            match Expression::new(&parsed.around, &finished) {
                Ok(expression) => {
                    fields.push(Field::new(name, expression.data_type().clone(), expression.is_nullable()));
                    outputs.push(Output::Around(expression));
                }
                Err(found) => problems.extend(found.into_iter().map(|problem| (name.clone(), problem))),
            }
        }
        let mut state = Vec::new();
        for call in &self.calls {
            match call.planned.state() {
                Ok(columns) => {
                    state.extend(
                        columns.into_iter().map(|column| Field::new(format!("{} {}", call.text, column.part), column.data_type, true)),
                    );
                }
                Err(error) => {
                    problems.push((call.column.clone(), SqlProblem::new(ProblemKind::Type, error.message(), 0..0)));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Plan {
            columns: self.columns,
            values: self.values,
            calls: self.calls,
            outputs,
            finished: Arc::new(finished),
            state: Arc::new(Schema::new(state)),
            output: Arc::new(Schema::new(fields)),
        })
    }
}

/// Problems of a whole argument are those of the call that it is written in.
fn located(problems: Vec<SqlProblem>, span: &Range<usize>) -> Vec<SqlProblem> {
    let at = |problem: SqlProblem| if problem.span.is_empty() { SqlProblem { span: span.clone(), ..problem } } else { problem };
    problems.into_iter().map(at).collect()
}
