//! From a call and the types of its values to the accumulator that computes it.

use std::fmt;

use arrow_cast::can_cast_types;
use arrow_schema::DataType;
use wasmill_engine::{Error, Result};

use super::accumulate::{
    Best, CallAccumulator, Combine, Count, Distinct, Outcome, Pairs, Sketch, Statistic, Summary, Values, Variance, fold, list_type,
    stored_type, sums,
};
use super::call::Call;
use super::functions::Function;
use crate::problem::{ProblemKind, SqlProblem};
use crate::types::{column_type, is_text, named};

/// A column of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateColumn {
    pub part: &'static str,
    pub data_type: DataType,
}

/// A call on values of known types.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// The types in which the accumulator gets its values, in its order.
    pub inputs: Vec<DataType>,
    work: Work,
    /// Of the values that are distinct alone.
    distinct: bool,
    /// The type of the result.
    pub output: DataType,
    pub nullable: bool,
}

#[derive(Debug, Clone)]
enum Work {
    Count,
    Sums(Outcome),
    Fold(Combine),
    Best { is_greatest: bool },
    Variance { is_sample: bool, is_root: bool },
    Pairs(Statistic),
    Values(Summary),
    Sketch,
}

impl Planned {
    /// # Errors
    /// The function does not take values of these types.
    pub fn new(call: &Call, types: &[DataType]) -> Result<Self, SqlProblem> {
        let planner = Planner { call, types };
        let mut planned = planner.plan()?;
        // The least of distinct values is the least of all.
        planned.distinct = call.is_distinct && !matches!(planned.work, Work::Best { .. } | Work::Fold(Combine::Least | Combine::Greatest));
        if planned.distinct {
            for (value, input) in types.iter().zip(&mut planned.inputs) {
                *input = match (stored_type(value), &planned.work) {
                    (None, _) => return Err(planner.refused("values that can be compared", value)),
                    (Some(stored), Work::Count) => stored,
                    _ => input.clone(),
                };
            }
        }
        Ok(planned)
    }

    /// The columns of its state.
    ///
    /// # Errors
    /// It was planned for other types than it takes: a bug.
    pub fn state(&self) -> Result<Vec<StateColumn>> {
        let column = |part, data_type| StateColumn { part, data_type };
        let float = |part| column(part, DataType::Float64);
        let first = || self.inputs.first().cloned().unwrap_or(DataType::Null);
        if self.distinct {
            return Ok(vec![column("distinct", list_type(&first()))]);
        }
        Ok(match &self.work {
            Work::Count => vec![column("count", DataType::Int64)],
            Work::Sums(outcome) => {
                let (_, total) = sums(*outcome, &first(), &self.output).ok_or_else(|| unplanned(self))?;
                vec![column("sum", total), column("count", DataType::Int64)]
            }
            Work::Fold(_) => vec![column("value", first())],
            Work::Best { .. } => match self.inputs.as_slice() {
                [value] => vec![column("value", value.clone())],
                [by, value, ..] => vec![column("by", by.clone()), column("value", value.clone())],
                [] => return Err(unplanned(self)),
            },
            Work::Variance { .. } => vec![column("count", DataType::Int64), float("mean"), float("squares")],
            Work::Pairs(_) => {
                let floats = ["mean_y", "mean_x", "squares_y", "squares_x", "products"].map(float);
                std::iter::once(column("count", DataType::Int64)).chain(floats).collect()
            }
            Work::Values(_) => vec![column("values", list_type(&first()))],
            Work::Sketch => vec![column("registers", DataType::LargeBinary)],
        })
    }

    /// Whether the accumulator gets the values in the opposite order of the arguments: what decides comes first.
    pub fn takes_last_first(&self) -> bool {
        matches!(self.work, Work::Best { .. })
    }

    /// An empty accumulator.
    ///
    /// # Errors
    /// It was planned for other types than it takes: a bug.
    pub fn open(&self) -> Result<Box<dyn CallAccumulator>> {
        let first = self.inputs.first().unwrap_or(&DataType::Null);
        let accumulator: Box<dyn CallAccumulator> = match &self.work {
            Work::Count => Box::new(Count::default()),
            Work::Sums(outcome) => sums(*outcome, first, &self.output).ok_or_else(|| unplanned(self))?.0,
            Work::Fold(combine) => fold(*combine, first).ok_or_else(|| unplanned(self))?,
            Work::Best { is_greatest } => Box::new(Best::new(&self.inputs, *is_greatest)?),
            Work::Variance { is_sample, is_root } => Box::new(Variance::new(*is_sample, *is_root)),
            Work::Pairs(statistic) => Box::new(Pairs::new(*statistic)),
            Work::Values(summary) => Box::new(Values::new(*summary, first, &self.output)?),
            Work::Sketch => Box::new(Sketch::default()),
        };
        if self.distinct { Ok(Box::new(Distinct::new(first, accumulator)?)) } else { Ok(accumulator) }
    }
}

fn unplanned(planned: &impl fmt::Debug) -> Error {
    Error::bug(format!("an aggregate was planned for types that it does not take: {planned:?}"))
}

struct Planner<'a> {
    call: &'a Call,
    types: &'a [DataType],
}

impl Planner<'_> {
    fn plan(&self) -> Result<Planned, SqlProblem> {
        let of = |work: Work, inputs: Vec<DataType>, output: DataType| Planned { inputs, work, distinct: false, output, nullable: true };
        let float = DataType::Float64;
        Ok(match self.call.function {
            Function::Count | Function::CountIf => Planned { nullable: false, ..of(Work::Count, self.types.to_vec(), DataType::Int64) },
            Function::Sum => {
                let (input, output) = self.sum()?;
                of(Work::Sums(Outcome::Sum), vec![input], output)
            }
            Function::Mean => {
                let (input, output, digits) = self.mean()?;
                of(Work::Sums(Outcome::Mean { digits }), vec![input], output)
            }
            Function::Least | Function::Greatest => self.extreme()?,
            Function::LeastBy | Function::GreatestBy => {
                let (value, by) = (self.comparable(0)?, self.comparable(1)?);
                let is_greatest = self.call.function == Function::GreatestBy;
                of(Work::Best { is_greatest }, vec![by, value], self.same()?)
            }
            Function::And | Function::Or => {
                let combine = if self.call.function == Function::And { Combine::Least } else { Combine::Greatest };
                let value = self.types.first().filter(|value| **value == DataType::Boolean);
                value.ok_or_else(|| self.refused("true or false", self.first()))?;
                of(Work::Fold(combine), vec![DataType::UInt64], DataType::Boolean)
            }
            Function::BitAnd => self.bits(Combine::BitAnd)?,
            Function::BitOr => self.bits(Combine::BitOr)?,
            Function::BitXor => self.bits(Combine::BitXor)?,
            Function::Variance { sample, root } => {
                self.number(0)?;
                of(Work::Variance { is_sample: sample, is_root: root }, vec![float.clone()], float)
            }
            Function::Covariance { .. } | Function::Correlation => {
                let statistic = match self.call.function {
                    Function::Covariance { sample } => Statistic::Covariance { is_sample: sample },
                    _ => Statistic::Correlation,
                };
                (0..2).try_for_each(|index| self.number(index).map(|_| ()))?;
                of(Work::Pairs(statistic), vec![float.clone(), float.clone()], float)
            }
            Function::Median => {
                let (input, output, digits) = self.median()?;
                of(Work::Values(Summary::Median { digits }), vec![input], output)
            }
            Function::PercentileCont => {
                self.number(0)?;
                of(Work::Values(Summary::Continuous(self.call.share.unwrap_or(0.5))), vec![float.clone()], float)
            }
            Function::PercentileDisc => {
                of(Work::Values(Summary::Discrete(self.call.share.unwrap_or(0.5))), vec![self.comparable(0)?], self.same()?)
            }
            Function::Mode => of(Work::Values(Summary::Mode), vec![self.comparable(0)?], self.same()?),
            Function::Array => {
                let item = arrow_schema::Field::new("item", self.same()?, true);
                of(Work::Values(Summary::Array), vec![self.comparable(0)?], DataType::List(item.into()))
            }
            Function::ApproxDistinct => {
                let input = self.sketched()?;
                Planned { nullable: false, ..of(Work::Sketch, vec![input], DataType::Int64) }
            }
        })
    }

    fn first(&self) -> &DataType {
        self.types.first().unwrap_or(&DataType::Null)
    }

    fn refused(&self, takes: &str, given: &DataType) -> SqlProblem {
        let message = format!("`{}` takes {takes}, not {}", self.call.name, named(given));
        let problem = SqlProblem::new(ProblemKind::Type, message, self.call.span.clone());
        match given {
            text if is_text(text) && takes != "true or false" => {
                problem.help("cast it: `CAST(… AS BIGINT)`; rows whose text is none are rejected")
            }
            DataType::Boolean => problem.help("`count_if(x)` is how many are true"),
            nested if nested.is_nested() => problem.help("use a plugin for nested columns"),
            _ => problem,
        }
    }

    /// The type that numbers are computed in.
    fn number(&self, index: usize) -> Result<DataType, SqlProblem> {
        let given = self.types.get(index).unwrap_or(&DataType::Null);
        match given {
            integer if integer.is_signed_integer() => Ok(DataType::Int64),
            integer if integer.is_unsigned_integer() => Ok(DataType::UInt64),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Ok(DataType::Float64),
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) | DataType::Decimal128(precision, scale)
                if (0..=38).contains(scale) =>
            {
                Ok(DataType::Decimal128(*precision, *scale))
            }
            DataType::Decimal256(..) => Err(self.refused("decimals of up to 38 digits", given)),
            _ => Err(self.refused("numbers", given)),
        }
    }

    fn sum(&self) -> Result<(DataType, DataType), SqlProblem> {
        let input = self.number(0)?;
        let output = match input {
            DataType::Decimal128(_, scale) => DataType::Decimal128(38, scale),
            ref same => same.clone(),
        };
        Ok((input, output))
    }

    /// The input, the output, and the digits that a decimal gets. No mean is larger than the largest value, so that it always fits.
    fn mean(&self) -> Result<(DataType, DataType, u32), SqlProblem> {
        let input = self.number(0)?;
        Ok(match input {
            DataType::Decimal128(precision, scale) => {
                let digits = 4.min(38_u8.saturating_sub(precision));
                (input, DataType::Decimal128(precision + digits, scale.saturating_add_unsigned(digits)), u32::from(digits))
            }
            _ => (input, DataType::Float64, 0),
        })
    }

    fn median(&self) -> Result<(DataType, DataType, u32), SqlProblem> {
        let input = self.number(0)?;
        Ok(match input {
            DataType::Decimal128(precision, scale) => {
                let digits = 1.min(38_u8.saturating_sub(precision));
                (input, DataType::Decimal128(precision + digits, scale.saturating_add_unsigned(digits)), u32::from(digits))
            }
            _ => (input, DataType::Float64, 0),
        })
    }

    /// The type that values are compared in.
    fn comparable(&self, index: usize) -> Result<DataType, SqlProblem> {
        let given = self.types.get(index).unwrap_or(&DataType::Null);
        stored_type(given).ok_or_else(|| self.refused("values that can be compared", given))
    }

    /// The type of a result that is one of the values.
    fn same(&self) -> Result<DataType, SqlProblem> {
        column_type(self.first()).map_err(|_| self.refused("values that a column can have", self.first()))
    }

    fn extreme(&self) -> Result<Planned, SqlProblem> {
        let is_greatest = self.call.function == Function::Greatest;
        let combine = if is_greatest { Combine::Greatest } else { Combine::Least };
        let stored = self.comparable(0)?;
        let folded = match self.first() {
            integer if integer.is_signed_integer() => DataType::Int64,
            integer if integer.is_unsigned_integer() || *integer == DataType::Boolean => DataType::UInt64,
            _ => stored.clone(),
        };
        let (work, input) = match fold(combine, &folded) {
            Some(_) => (Work::Fold(combine), folded),
            None => (Work::Best { is_greatest }, stored),
        };
        Ok(Planned { inputs: vec![input], work, distinct: false, output: self.same()?, nullable: true })
    }

    fn bits(&self, combine: Combine) -> Result<Planned, SqlProblem> {
        let given = self.first();
        if !given.is_integer() {
            return Err(self.refused("integers", given));
        }
        let output = given.clone();
        Ok(Planned { inputs: vec![self.number(0)?], work: Work::Fold(combine), distinct: false, output, nullable: true })
    }

    /// The type whose bytes are hashed.
    fn sketched(&self) -> Result<DataType, SqlProblem> {
        let stored = self.comparable(0)?;
        Ok(match &stored {
            integer if integer.is_signed_integer() => DataType::Int64,
            other if other.is_unsigned_integer() || *other == DataType::Boolean => DataType::UInt64,
            DataType::Float64 | DataType::Decimal128(..) | DataType::LargeUtf8 | DataType::LargeBinary => stored,
            time if can_cast_types(time, &DataType::Int64) => DataType::Int64,
            _ => return Err(self.refused("values that can be compared", self.first())),
        })
    }
}
