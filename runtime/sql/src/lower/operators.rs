//! Operators: arithmetic that never wraps, comparisons, logic, patterns and choices.

use std::sync::Arc;

use arrow_schema::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_expr::type_coercion::binary::{BinaryTypeCoercer, comparison_coercion, like_coercion};
use datafusion_expr::type_coercion::other::{get_coerce_type_for_case_expression, get_coerce_type_for_case_when, get_coerce_type_for_list};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{BinaryExpr, Literal, case, in_list, like, negative, not};
use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, Value, ValueWithSpan};

use super::{Lower, Typed};
use crate::divide::{FloatDivision, Quotient};
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::types::named;

impl Lower<'_> {
    pub(super) fn binary_operator(&self, left: &Expr, op: &BinaryOperator, right: &Expr, part: &Expr) -> Result<Typed, SqlProblem> {
        let op = match op {
            BinaryOperator::And => return self.logic(left, Operator::And, right, part),
            BinaryOperator::Or => return self.logic(left, Operator::Or, right, part),
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            BinaryOperator::StringConcat => Operator::StringConcat,
            BinaryOperator::Eq => Operator::Eq,
            BinaryOperator::NotEq => Operator::NotEq,
            BinaryOperator::Lt => Operator::Lt,
            BinaryOperator::LtEq => Operator::LtEq,
            BinaryOperator::Gt => Operator::Gt,
            BinaryOperator::GtEq => Operator::GtEq,
            BinaryOperator::PGRegexMatch => Operator::RegexMatch,
            BinaryOperator::PGRegexIMatch => Operator::RegexIMatch,
            BinaryOperator::PGRegexNotMatch => Operator::RegexNotMatch,
            BinaryOperator::PGRegexNotIMatch => Operator::RegexNotIMatch,
            other => {
                let message = format!("the operator `{}` can't be used here", shorten(&other.to_string(), 20));
                return Err(SqlProblem::new(ProblemKind::Unsupported, message, self.places.of_part(part)));
            }
        };
        let parts = (left, right);
        self.pair((self.part(left)?, op, self.part(right)?), parts, part)
    }

    /// Two values and an operator, converted to types that the operator takes.
    fn pair(&self, (left, op, right): (Typed, Operator, Typed), parts: (&Expr, &Expr), part: &Expr) -> Result<Typed, SqlProblem> {
        let types = BinaryTypeCoercer::new(&left.data_type, &op, &right.data_type).get_input_types();
        let (left_type, right_type) = types.map_err(|_| {
            let message = format!("`{op}` does not take {} and {}", named(&left.data_type), named(&right.data_type));
            SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part))
        })?;
        let left = self.coerced(left, &left_type, parts.0)?;
        let right = self.coerced(right, &right_type, parts.1)?;
        let nullable = left.nullable || right.nullable;
        let is_float = matches!(left_type, DataType::Float32 | DataType::Float64) && left_type == right_type;
        let physical: Arc<dyn PhysicalExpr> = match op {
            Operator::Divide if is_float => Arc::new(FloatDivision::new(left.physical, Quotient::Whole, right.physical)),
            Operator::Modulo if is_float => Arc::new(FloatDivision::new(left.physical, Quotient::Remainder, right.physical)),
            _ => Arc::new(BinaryExpr::new(left.physical, op, right.physical).with_fail_on_overflow(true)),
        };
        Ok(Typed { nullable, ..self.typed(Ok(physical), part)? })
    }

    fn logic(&self, left: &Expr, op: Operator, right: &Expr, part: &Expr) -> Result<Typed, SqlProblem> {
        let (left, right) = (self.boolean(left)?, self.boolean(right)?);
        self.typed(Ok(Arc::new(BinaryExpr::new(left.physical, op, right.physical))), part)
    }

    pub(super) fn distinct(&self, left: &Expr, op: Operator, right: &Expr, part: &Expr) -> Result<Typed, SqlProblem> {
        let typed = self.pair((self.part(left)?, op, self.part(right)?), (left, right), part)?;
        Ok(Typed { nullable: false, ..typed })
    }

    /// Unary minus. That of an integer is a subtraction, which reports an overflow.
    pub(super) fn negative(&self, inner: &Expr, part: &Expr) -> Result<Typed, SqlProblem> {
        if let Expr::Value(ValueWithSpan { value: Value::Number(digits, _), span }) = inner {
            return self.number(&format!("-{digits}"), self.places.range(*span));
        }
        let typed = self.part(inner)?;
        if typed.data_type.is_signed_integer() {
            let zero = ScalarValue::new_zero(&typed.data_type).map_err(|error| self.does_not_fit(&error, part))?;
            let minus = BinaryExpr::new(Arc::new(Literal::new(zero)), Operator::Minus, typed.physical).with_fail_on_overflow(true);
            return self.typed(Ok(Arc::new(minus)), part);
        }
        if typed.data_type.is_unsigned_integer() {
            let message = format!("{} has no negative values", named(&typed.data_type));
            let problem = SqlProblem::new(ProblemKind::Type, message, self.places.of_part(inner));
            return Err(problem.help("cast it: `-CAST(… AS BIGINT)`"));
        }
        self.typed(negative(typed.physical, self.schema), part)
    }

    pub(super) fn between(&self, value: &Expr, negated: bool, (low, high): (&Expr, &Expr), part: &Expr) -> Result<Typed, SqlProblem> {
        let from = self.pair((self.part(value)?, Operator::GtEq, self.part(low)?), (value, low), part)?;
        let to = self.pair((self.part(value)?, Operator::LtEq, self.part(high)?), (value, high), part)?;
        let both = self.typed(Ok(Arc::new(BinaryExpr::new(from.physical, Operator::And, to.physical))), part)?;
        if negated { self.typed(not(both.physical), part) } else { Ok(both) }
    }

    pub(super) fn in_list(&self, value: &Expr, list: &[Expr], negated: bool, part: &Expr) -> Result<Typed, SqlProblem> {
        let typed = self.part(value)?;
        let values = list.iter().map(|item| self.part(item)).collect::<Result<Vec<_>, _>>()?;
        let types: Vec<DataType> = values.iter().map(|item| item.data_type.clone()).collect();
        let common = get_coerce_type_for_list(&typed.data_type, &types).ok_or_else(|| self.differ("`IN`", &typed, &types, part))?;
        let typed = self.coerced(typed, &common, value)?;
        let values = values.into_iter().zip(list).map(|(item, part)| Ok(self.coerced(item, &common, part)?.physical));
        let values = values.collect::<Result<Vec<_>, SqlProblem>>()?;
        self.typed(in_list(typed.physical, values, &negated, self.schema), part)
    }

    fn differ(&self, what: &str, first: &Typed, others: &[DataType], part: &Expr) -> SqlProblem {
        let other = others.iter().find(|other| comparison_coercion(&first.data_type, other).is_none()).or(others.first());
        let other = other.map_or_else(String::new, named);
        let message = format!("{what} compares {} and {other}, which do not go together", named(&first.data_type));
        SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part))
    }

    pub(super) fn like(
        &self,
        value: &Expr,
        pattern: &Expr,
        (negated, is_caseless): (bool, bool),
        escape: Option<&ValueWithSpan>,
        part: &Expr,
    ) -> Result<Typed, SqlProblem> {
        let (value_part, pattern_part) = (value, pattern);
        if let Some(escape) = escape.filter(|escape| !matches!(&escape.value, Value::SingleQuotedString(text) if text == "\\")) {
            let problem = SqlProblem::new(ProblemKind::Unsupported, "`ESCAPE` can only be the backslash", self.places.range(escape.span));
            return Err(problem.help("the backslash escapes `%` and `_` without `ESCAPE`"));
        }
        let (value, pattern) = (self.part(value)?, self.part(pattern)?);
        let common = like_coercion(&value.data_type, &pattern.data_type).ok_or_else(|| {
            let message = format!("`LIKE` takes texts, not {} and {}", named(&value.data_type), named(&pattern.data_type));
            SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part))
        })?;
        let value = self.coerced(value, &common, value_part)?;
        let pattern = self.coerced(pattern, &common, pattern_part)?;
        self.typed(like(negated, is_caseless, value.physical, pattern.physical, self.schema), part)
    }

    pub(super) fn case(
        &self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        part: &Expr,
    ) -> Result<Typed, SqlProblem> {
        let (operand, whens) = match operand {
            None => {
                (None, conditions.iter().map(|when| Ok(self.boolean(&when.condition)?.physical)).collect::<Result<Vec<_>, SqlProblem>>()?)
            }
            Some(operand) => {
                let (operand, whens) = self.compared(operand, conditions, part)?;
                (Some(operand), whens)
            }
        };
        let thens = conditions.iter().map(|when| self.part(&when.result)).collect::<Result<Vec<_>, _>>()?;
        let last = otherwise.map(|otherwise| self.part(otherwise)).transpose()?;
        let types: Vec<DataType> = thens.iter().map(|then| then.data_type.clone()).collect();
        let common = get_coerce_type_for_case_expression(&types, last.as_ref().map(|last| &last.data_type)).ok_or_else(|| {
            let mut all: Vec<String> = types.iter().chain(last.as_ref().map(|last| &last.data_type)).map(named).collect();
            all.dedup();
            let message = format!("the results of `CASE` have no common type: {}", all.join(", "));
            SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part))
        })?;
        let thens = thens.into_iter().zip(conditions).map(|(then, when)| Ok(self.coerced(then, &common, &when.result)?.physical));
        let thens = thens.collect::<Result<Vec<_>, SqlProblem>>()?;
        let last = last.zip(otherwise).map(|(last, part)| self.coerced(last, &common, part)).transpose()?;
        let branches = whens.into_iter().zip(thens).collect();
        self.typed(case(operand, branches, last.map(|last| last.physical)), part)
    }

    /// `CASE operand WHEN value …`
    #[expect(clippy::type_complexity, reason = "the operand and its values")]
    fn compared(
        &self,
        operand: &Expr,
        conditions: &[CaseWhen],
        part: &Expr,
    ) -> Result<(Arc<dyn PhysicalExpr>, Vec<Arc<dyn PhysicalExpr>>), SqlProblem> {
        let typed = self.part(operand)?;
        let values = conditions.iter().map(|when| self.part(&when.condition)).collect::<Result<Vec<_>, _>>()?;
        let types: Vec<DataType> = values.iter().map(|value| value.data_type.clone()).collect();
        let common = get_coerce_type_for_case_when(&types, &typed.data_type).ok_or_else(|| self.differ("`CASE`", &typed, &types, part))?;
        let typed = self.coerced(typed, &common, operand)?;
        let values = values.into_iter().zip(conditions).map(|(value, when)| Ok(self.coerced(value, &common, &when.condition)?.physical));
        Ok((typed.physical, values.collect::<Result<Vec<_>, SqlProblem>>()?))
    }
}
