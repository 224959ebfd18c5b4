//! From the parsed text to an expression that DataFusion evaluates: types are settled here, part by part, so that what does not fit is
//! reported where it is written.

mod calls;
mod convert;
mod literals;
mod operators;

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Schema};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Column, Literal, is_not_null, is_null, not};
use sqlparser::ast::{Expr, UnaryOperator};

use crate::nearest::nearest;
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::refused::refused_part;
use crate::syntax::{Parsed, Places, column_name};
use crate::types::named;

/// A part of an expression whose type is known.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub physical: Arc<dyn PhysicalExpr>,
    pub data_type: DataType,
    /// Whether it may be null.
    pub nullable: bool,
}

impl Typed {
    fn literal(value: ScalarValue) -> Self {
        let (data_type, nullable) = (value.data_type(), value.is_null());
        Self { physical: Arc::new(Literal::new(value)), data_type, nullable }
    }

    fn as_literal(&self) -> Option<&ScalarValue> {
        self.physical.downcast_ref::<Literal>().map(Literal::value)
    }
}

/// The expression over the columns of a schema.
pub(crate) fn lower(parsed: &Parsed, schema: &Schema) -> Result<Typed, SqlProblem> {
    Lower { schema, places: &parsed.places, config: Arc::new(ConfigOptions::new()) }.part(&parsed.ast)
}

struct Lower<'a> {
    schema: &'a Schema,
    places: &'a Places,
    /// What functions may depend on; always the defaults, so that results never depend on a machine.
    config: Arc<ConfigOptions>,
}

impl Lower<'_> {
    fn part(&self, part: &Expr) -> Result<Typed, SqlProblem> {
        match part {
            Expr::Nested(inner) => self.part(inner),
            Expr::Identifier(name) => self.column(&name.value, self.places.range(name.span)),
            Expr::CompoundIdentifier(names) => self.column(&column_name(names), self.places.of_part(part)),
            Expr::Value(value) => self.value(&value.value, self.places.range(value.span)),
            Expr::TypedString(text) => self.typed_text(text),
            Expr::Interval(interval) => self.interval(interval),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr, part),
            Expr::BinaryOp { left, op, right } => self.binary_operator(left, op, right, part),
            Expr::IsNull(inner) => self.never_null(is_null(self.part(inner)?.physical), part),
            Expr::IsNotNull(inner) => self.never_null(is_not_null(self.part(inner)?.physical), part),
            Expr::IsTrue(inner) => self.is(inner, Operator::IsNotDistinctFrom, Some(true), part),
            Expr::IsNotTrue(inner) => self.is(inner, Operator::IsDistinctFrom, Some(true), part),
            Expr::IsFalse(inner) => self.is(inner, Operator::IsNotDistinctFrom, Some(false), part),
            Expr::IsNotFalse(inner) => self.is(inner, Operator::IsDistinctFrom, Some(false), part),
            Expr::IsUnknown(inner) => self.is(inner, Operator::IsNotDistinctFrom, None, part),
            Expr::IsNotUnknown(inner) => self.is(inner, Operator::IsDistinctFrom, None, part),
            Expr::IsDistinctFrom(left, right) => self.distinct(left, Operator::IsDistinctFrom, right, part),
            Expr::IsNotDistinctFrom(left, right) => self.distinct(left, Operator::IsNotDistinctFrom, right, part),
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, (low, high), part),
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated, part),
            Expr::Like { negated, expr, pattern, escape_char, .. } => {
                self.like(expr, pattern, (*negated, false), escape_char.as_ref(), part)
            }
            Expr::ILike { negated, expr, pattern, escape_char, .. } => {
                self.like(expr, pattern, (*negated, true), escape_char.as_ref(), part)
            }
            Expr::Case { operand, conditions, else_result, .. } => self.case(operand.as_deref(), conditions, else_result.as_deref(), part),
            Expr::Cast { kind, expr, data_type, .. } => self.cast(kind, expr, data_type, part),
            _ => self.call_part(part),
        }
    }

    fn column(&self, name: &str, span: Range<usize>) -> Result<Typed, SqlProblem> {
        let Some((index, field)) = self.schema.column_with_name(name) else {
            let message = format!("there is no column `{}`", shorten(name, 80));
            let near = nearest(name, self.schema.fields().iter().map(|field| field.name().as_str()));
            return Err(SqlProblem::new(ProblemKind::Column, message, span).suggest(near));
        };
        Ok(Typed { physical: Arc::new(Column::new(name, index)), data_type: field.data_type().clone(), nullable: field.is_nullable() })
    }

    fn unary(&self, op: UnaryOperator, inner: &Expr, part: &Expr) -> Result<Typed, SqlProblem> {
        match op {
            UnaryOperator::Plus => self.part(inner),
            UnaryOperator::Minus => self.negative(inner, part),
            UnaryOperator::Not => {
                let inner = self.boolean(inner)?;
                self.typed(not(inner.physical), part)
            }
            _ => Err(refused_part(part, self.places)),
        }
    }

    /// A part that has to be true or false.
    fn boolean(&self, part: &Expr) -> Result<Typed, SqlProblem> {
        let typed = self.part(part)?;
        match typed.data_type {
            DataType::Boolean => Ok(typed),
            DataType::Null => Ok(Typed::literal(ScalarValue::Boolean(None))),
            _ => {
                let message = format!("this is {} where true or false is needed", named(&typed.data_type));
                Err(SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part)).help("compare it: `likes > 0`, `text <> ''`"))
            }
        }
    }

    fn is(&self, inner: &Expr, op: Operator, than: Option<bool>, part: &Expr) -> Result<Typed, SqlProblem> {
        let inner = self.boolean(inner)?;
        let than = Arc::new(Literal::new(ScalarValue::Boolean(than)));
        self.never_null(Ok(Arc::new(BinaryExpr::new(inner.physical, op, than))), part)
    }

    /// With the type that DataFusion gives it.
    fn typed(&self, physical: Result<Arc<dyn PhysicalExpr>, DataFusionError>, part: &Expr) -> Result<Typed, SqlProblem> {
        let of = |physical: Arc<dyn PhysicalExpr>| {
            Ok(Typed { data_type: physical.data_type(self.schema)?, nullable: physical.nullable(self.schema)?, physical })
        };
        physical.and_then(of).map_err(|error| self.does_not_fit(&error, part))
    }

    fn never_null(&self, physical: Result<Arc<dyn PhysicalExpr>, DataFusionError>, part: &Expr) -> Result<Typed, SqlProblem> {
        Ok(Typed { nullable: false, ..self.typed(physical, part)? })
    }

    /// That DataFusion takes a part for no expression; its own words come last.
    fn does_not_fit(&self, error: &DataFusionError, part: &Expr) -> SqlProblem {
        let why = shorten(error.strip_backtrace().lines().next().unwrap_or_default(), 200);
        let why =
            ["Error during planning: ", "Execution error: "].into_iter().fold(why.as_str(), |why, prefix| why.trim_start_matches(prefix));
        SqlProblem::new(ProblemKind::Type, format!("these types do not go together: {why}"), self.places.of_part(part))
    }
}
