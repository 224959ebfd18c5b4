//! Calls of functions, and the parts of SQL that are calls by another name.

use std::sync::Arc;

use arrow_array::timezone::Tz;
use arrow_schema::{DataType, Field, FieldRef};
use datafusion_common::ScalarValue;
use datafusion_expr::type_coercion::functions::fields_with_udf;
use datafusion_expr::type_coercion::other::get_coerce_type_for_case_expression;
use datafusion_physical_expr::expressions::{case, cast, is_not_null};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use sqlparser::ast::{CeilFloorKind, DateTimeField, Expr, Function, TrimWhereField, Value};

use super::{Lower, Typed};
use crate::aggregate::{is_aggregate, text_of_call};
use crate::columns::arguments;
use crate::functions::{find, name_of};
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::refused::refused_part;
use crate::types::{is_text, named};

impl Lower<'_> {
    /// What is a call in other words.
    pub(super) fn call_part(&self, part: &Expr) -> Result<Typed, SqlProblem> {
        match part {
            Expr::Function(function) => self.function(function, part),
            Expr::Extract { field, expr, .. } => {
                let field = Typed::literal(ScalarValue::Utf8(Some(field.to_string().to_lowercase())));
                self.call("date_part", vec![field, self.part(expr)?], &[part, expr], part)
            }
            Expr::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => self.call_with("ceil", &[expr], part),
            Expr::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => self.call_with("floor", &[expr], part),
            Expr::Position { expr, r#in } => self.call_with("strpos", &[r#in, expr], part),
            Expr::Substring { expr, substring_from, substring_for, .. } => self.substring(expr, substring_from, substring_for, part),
            Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    Some(TrimWhereField::Both) | None => "btrim",
                };
                let what = trim_what.iter().map(|what| &**what).chain(trim_characters.iter().flatten());
                self.call_with(name, &std::iter::once(&**expr).chain(what).collect::<Vec<_>>(), part)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let all = [expr, overlay_what, overlay_from].into_iter().chain(overlay_for).map(|argument| &**argument);
                self.call_with("overlay", &all.collect::<Vec<_>>(), part)
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone, part),
            _ => Err(refused_part(part, self.places)),
        }
    }

    fn substring(&self, text: &Expr, from: &Option<Box<Expr>>, length: &Option<Box<Expr>>, part: &Expr) -> Result<Typed, SqlProblem> {
        let arguments: Vec<&Expr> = std::iter::once(text).chain(from.as_deref()).chain(length.as_deref()).collect();
        if from.is_some() {
            return self.call_with("substr", &arguments, part);
        }
        // `substring(text FOR n)` begins at the first character.
        let mut typed = arguments.iter().map(|argument| self.part(argument)).collect::<Result<Vec<_>, _>>()?;
        typed.insert(1.min(typed.len()), Typed::literal(ScalarValue::Int64(Some(1))));
        let parts: Vec<&Expr> = [text, part].into_iter().chain(length.as_deref()).collect();
        self.call("substr", typed, &parts, part)
    }

    /// `time AT TIME ZONE 'Europe/Berlin'`: a time without a zone is taken to be one of that zone.
    fn at_time_zone(&self, time: &Expr, zone: &Expr, part: &Expr) -> Result<Typed, SqlProblem> {
        let typed = self.part(time)?;
        let name = match zone {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(name) => Some(name),
                _ => None,
            },
            _ => None,
        };
        let name = name.filter(|name| name.parse::<Tz>().is_ok()).ok_or_else(|| {
            let message = "a time zone is written out, by its name or its offset";
            let problem = SqlProblem::new(ProblemKind::Type, message, self.places.of_part(zone));
            problem.help("for example: AT TIME ZONE 'Europe/Berlin', AT TIME ZONE '+02:00'")
        })?;
        let DataType::Timestamp(unit, _) = &typed.data_type else {
            let message = format!("`AT TIME ZONE` takes a timestamp, not {}", named(&typed.data_type));
            return Err(SqlProblem::new(ProblemKind::Type, message, self.places.of_part(time)));
        };
        let target = DataType::Timestamp(*unit, Some(name.as_str().into()));
        self.typed(cast(typed.physical, self.schema, target), part)
    }

    fn function(&self, function: &Function, part: &Expr) -> Result<Typed, SqlProblem> {
        let name = name_of(function).unwrap_or_default();
        if is_aggregate(&name) {
            // Around aggregates, the columns are their values.
            return self.column(&text_of_call(function), self.places.of_part(part));
        }
        let arguments = arguments(function, self.places)?;
        match (name.as_str(), arguments.as_slice()) {
            ("coalesce" | "nvl" | "ifnull", [_, ..]) => self.coalesce(&arguments, part),
            ("nvl2", [value, then, otherwise]) => self.nvl2(value, then, otherwise, part),
            _ => self.call_with(&name, &arguments, part),
        }
    }

    fn call_with(&self, name: &str, arguments: &[&Expr], part: &Expr) -> Result<Typed, SqlProblem> {
        let typed = arguments.iter().map(|argument| self.part(argument)).collect::<Result<Vec<_>, _>>()?;
        self.call(name, typed, arguments, part)
    }

    /// A call with arguments of the types that the function takes.
    fn call(&self, name: &str, typed: Vec<Typed>, parts: &[&Expr], part: &Expr) -> Result<Typed, SqlProblem> {
        let span = self.places.of_part(part);
        let Some(function) = find(name) else {
            return Err(SqlProblem::new(ProblemKind::Function, format!("there is no function `{}`", shorten(name, 60)), span));
        };
        if name.starts_with("to_timestamp")
            && typed.first().is_some_and(|first| !is_text(&first.data_type) && !first.data_type.is_integer())
        {
            // Fractions would be rounded by a float, and what is too large would become the latest time there is.
            let given = typed.first().map(|first| named(&first.data_type)).unwrap_or_default();
            let is_null = given == "null";
            if !is_null {
                let problem = SqlProblem::new(ProblemKind::Type, format!("`{name}` takes a text or an integer, not {given}"), span);
                return Err(problem.help("cast it: `CAST(… AS BIGINT)`"));
            }
        }
        let fields: Vec<FieldRef> = typed.iter().map(|typed| Arc::new(Field::new("", typed.data_type.clone(), typed.nullable))).collect();
        let takes = fields_with_udf(&fields, function.as_ref()).map_err(|_| {
            let given: Vec<String> = typed.iter().map(|typed| named(&typed.data_type)).collect();
            let message = format!("`{name}` does not take ({})", given.join(", "));
            SqlProblem::new(ProblemKind::Function, message, span.clone())
        })?;
        let converted =
            typed.into_iter().zip(takes).enumerate().map(|(index, (typed, field))| {
                Ok(self.coerced(typed, field.data_type(), parts.get(index).copied().unwrap_or(part))?.physical)
            });
        let converted = converted.collect::<Result<Vec<_>, SqlProblem>>()?;
        let call = ScalarFunctionExpr::try_new(function, converted, self.schema, Arc::clone(&self.config));
        self.typed(call.map(|call| Arc::new(call) as Arc<dyn PhysicalExpr>), part)
    }

    /// The first argument that is no null; those behind it are not computed.
    fn coalesce(&self, arguments: &[&Expr], part: &Expr) -> Result<Typed, SqlProblem> {
        let typed = arguments.iter().map(|argument| self.part(argument)).collect::<Result<Vec<_>, _>>()?;
        let types: Vec<DataType> = typed.iter().map(|typed| typed.data_type.clone()).collect();
        let common = get_coerce_type_for_case_expression(&types, None).ok_or_else(|| {
            let all: Vec<String> = types.iter().map(named).collect();
            let message = format!("the arguments have no common type: {}", all.join(", "));
            SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part))
        })?;
        let converted = typed.into_iter().zip(arguments).map(|(typed, part)| self.coerced(typed, &common, part));
        let mut converted = converted.collect::<Result<Vec<_>, _>>()?;
        let nullable = converted.iter().all(|typed| typed.nullable);
        let Some(last) = converted.pop() else { return Err(refused_part(part, self.places)) };
        if converted.is_empty() {
            return Ok(last);
        }
        let branches = converted.into_iter().map(|typed| Ok((is_not_null(Arc::clone(&typed.physical))?, typed.physical)));
        let branches = branches.collect::<Result<Vec<_>, datafusion_common::DataFusionError>>();
        let chosen = branches.and_then(|branches| case(None, branches, Some(last.physical)));
        Ok(Typed { nullable, ..self.typed(chosen, part)? })
    }

    fn nvl2(&self, value: &Expr, then: &Expr, otherwise: &Expr, part: &Expr) -> Result<Typed, SqlProblem> {
        let value = self.part(value)?;
        let (then_typed, last) = (self.part(then)?, self.part(otherwise)?);
        let common =
            get_coerce_type_for_case_expression(std::slice::from_ref(&then_typed.data_type), Some(&last.data_type)).ok_or_else(|| {
                let message = format!("the results have no common type: {}, {}", named(&then_typed.data_type), named(&last.data_type));
                SqlProblem::new(ProblemKind::Type, message, self.places.of_part(part))
            })?;
        let then_typed = self.coerced(then_typed, &common, then)?;
        let last = self.coerced(last, &common, otherwise)?;
        let chosen = is_not_null(value.physical).and_then(|given| case(None, vec![(given, then_typed.physical)], Some(last.physical)));
        self.typed(chosen, part)
    }
}
