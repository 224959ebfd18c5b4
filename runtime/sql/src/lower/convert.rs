//! Conversions: those that are written, and those that operators and functions need.

use std::sync::Arc;

use arrow_cast::can_cast_types;
use arrow_schema::DataType;
use datafusion_common::ScalarValue;
use datafusion_physical_expr::expressions::{Literal, cast, try_cast};
use sqlparser::ast::{CastKind, DataType as SqlType, Expr};

use super::{Lower, Typed};
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::types::{WRITTEN, arrow_type, is_text, is_time, named};

impl Lower<'_> {
    /// `CAST(expr AS type)`, `expr::type`, `TRY_CAST(expr AS type)`.
    pub(super) fn cast(&self, kind: &CastKind, inner: &Expr, written: &SqlType, part: &Expr) -> Result<Typed, SqlProblem> {
        let target = arrow_type(written).map_err(|why| {
            let problem = SqlProblem::new(ProblemKind::Type, why, self.places.of_part(part));
            problem.help(format!("types are {WRITTEN}"))
        })?;
        let inner_part = inner;
        let inner = self.part(inner)?;
        self.check_cast(&inner.data_type, &target, part)?;
        let is_strict = matches!(kind, CastKind::Cast | CastKind::DoubleColon);
        if is_strict && inner.as_literal().is_some() {
            return self.literal_as(&inner, &target, inner_part);
        }
        let nullable = inner.nullable || !is_strict;
        let physical = if is_strict { cast(inner.physical, self.schema, target) } else { try_cast(inner.physical, self.schema, target) };
        Ok(Typed { nullable, ..self.typed(physical, part)? })
    }

    /// Whether a written conversion means one thing.
    fn check_cast(&self, from: &DataType, to: &DataType, part: &Expr) -> Result<(), SqlProblem> {
        let refused = |help: &str| {
            let message = format!("{} can't be cast to {}", named(from), named(to));
            let problem = SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part));
            Err(if help.is_empty() { problem } else { problem.help(help) })
        };
        let is_number = |data_type: &DataType| data_type.is_numeric() || *data_type == DataType::Boolean;
        if from == to || *from == DataType::Null {
            return Ok(());
        }
        if is_number(from) && is_time(to) {
            return refused("say what it counts: `to_timestamp_seconds(n)`, `to_timestamp_millis(n)` and so on");
        }
        if is_time(from) && is_number(to) {
            return refused("say what to count: `to_unixtime(t)` gives seconds, `extract(epoch FROM t)` seconds with a fraction");
        }
        if from.is_nested() || to.is_nested() || !can_cast_types(from, to) {
            return refused(if from.is_nested() { "use a plugin for nested columns" } else { "" });
        }
        Ok(())
    }

    /// A part as another type, where an operator or function needs it. What a text stands for is only read where it is written in the
    /// expression: any other text has to be cast, because that may fail.
    pub(super) fn coerced(&self, typed: Typed, target: &DataType, part: &Expr) -> Result<Typed, SqlProblem> {
        if typed.data_type == *target {
            return Ok(typed);
        }
        if typed.as_literal().is_some() {
            return self.literal_as(&typed, target, part);
        }
        let from = &typed.data_type;
        let is_unclear = is_text(from) != is_text(target) && is_text(from);
        let changes_meaning = is_time(target) && from.is_numeric() || is_time(from) && target.is_numeric();
        if is_unclear || changes_meaning || !can_cast_types(from, target) {
            let problem = self.not_needed(from, target, part);
            return Err(if is_unclear {
                problem.help("cast it: `CAST(… AS …)`; rows whose text is none are rejected")
            } else {
                problem
            });
        }
        let nullable = typed.nullable;
        Ok(Typed { nullable, ..self.typed(cast(typed.physical, self.schema, target.clone()), part)? })
    }

    fn not_needed(&self, from: &DataType, target: &DataType, part: &Expr) -> SqlProblem {
        let message = format!("this is {} where {} is needed", named(from), named(target));
        let problem = SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part));
        match target {
            DataType::Interval(_) => problem.help("days are an interval: `day + INTERVAL '1 day'`"),
            _ => problem,
        }
    }

    /// A value that is written, as another type.
    pub(super) fn literal_as(&self, typed: &Typed, target: &DataType, part: &Expr) -> Result<Typed, SqlProblem> {
        let Some(value) = typed.as_literal() else { return Ok(typed.clone()) };
        let counts_nothing = is_time(target) && typed.data_type.is_numeric();
        if counts_nothing {
            return Err(self.not_needed(&typed.data_type, target, part));
        }
        let converted = match value.is_null() {
            true => ScalarValue::try_new_null(target),
            false => value.cast_to(target),
        };
        let converted = converted.map_err(|_| {
            let shown = shorten(&value.to_string(), 60);
            SqlProblem::new(ProblemKind::Type, format!("`{shown}` is no value of {}", named(target)), self.places.of_part(part))
        })?;
        Ok(Typed { nullable: converted.is_null(), data_type: target.clone(), physical: Arc::new(Literal::new(converted)) })
    }
}
