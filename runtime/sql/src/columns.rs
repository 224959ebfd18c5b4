//! Walks an expression: finds the columns that it names, and refuses what no row can be computed by.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use crate::functions;
use crate::problem::{ProblemKind, SqlProblem};
use crate::refused::refused_part;
use crate::syntax::{ColumnUse, Places, column_name};

/// Where an expression is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// It is computed for a row.
    Row,
    /// It is computed for a row, and aggregated.
    Call,
    /// It is computed for a group, of what is aggregated.
    Group,
}

/// The columns of an expression, in the order of the text.
pub(crate) fn columns_of(ast: &Expr, places: &Places, inside: Inside) -> Result<Vec<ColumnUse>, SqlProblem> {
    let mut walk = Walk { places, inside, columns: Vec::new() };
    walk.visit(ast)?;
    walk.columns.sort_by_key(|column| column.span.start);
    Ok(walk.columns)
}

struct Walk<'a> {
    places: &'a Places,
    inside: Inside,
    columns: Vec<ColumnUse>,
}

impl Walk<'_> {
    fn visit(&mut self, part: &Expr) -> Result<(), SqlProblem> {
        match part {
            Expr::Identifier(name) => self.columns.push(ColumnUse { name: name.value.clone(), span: self.places.range(name.span) }),
            Expr::CompoundIdentifier(names) => {
                self.columns.push(ColumnUse { name: column_name(names), span: self.places.of_part(part) });
            }
            Expr::Function(function) => {
                functions::check_call(function, self.places, self.inside)?;
                for argument in arguments(function, self.places)? {
                    self.visit(argument)?;
                }
            }
            // Its parts are texts and numbers.
            Expr::Interval(_) | Expr::Value(_) | Expr::TypedString(_) => {}
            _ => {
                let parts = parts(part).ok_or_else(|| refused_part(part, self.places))?;
                for inner in parts {
                    self.visit(inner)?;
                }
            }
        }
        Ok(())
    }
}

/// The arguments of a call.
pub(crate) fn arguments<'a>(function: &'a Function, places: &Places) -> Result<Vec<&'a Expr>, SqlProblem> {
    let list = match &function.args {
        FunctionArguments::None => return Ok(Vec::new()),
        FunctionArguments::List(list) => list,
        FunctionArguments::Subquery(_) => {
            return Err(crate::refused::subquery(places.of_part(&function.name)));
        }
    };
    let one = |argument: &'a FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Ok(argument),
        _ => {
            let message = format!("the arguments of `{}` are expressions, without names and without `*`", function.name);
            Err(SqlProblem::new(ProblemKind::Function, message, places.of_part(function)))
        }
    };
    list.args.iter().map(one).collect()
}

/// The parts of an expression that are expressions; `None` for what is not offered.
pub(crate) fn parts(expr: &Expr) -> Option<Vec<&Expr>> {
    Some(match expr {
        Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner)
        | Expr::Nested(inner)
        | Expr::UnaryOp { expr: inner, .. }
        | Expr::Cast { expr: inner, array: false, format: None, .. }
        | Expr::Extract { expr: inner, .. }
        | Expr::Ceil { expr: inner, .. }
        | Expr::Floor { expr: inner, .. } => vec![inner],
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) | Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::AtTimeZone { timestamp, time_zone } => vec![timestamp, time_zone],
        Expr::Position { expr, r#in } => vec![expr, r#in],
        Expr::InList { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
        Expr::Between { expr, low, high, .. } => vec![expr, low, high],
        Expr::Like { any: false, expr, pattern, .. } | Expr::ILike { any: false, expr, pattern, .. } => vec![expr, pattern],
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            std::iter::once(expr).chain(substring_from).chain(substring_for).map(|part| &**part).collect()
        }
        Expr::Trim { expr, trim_what, trim_characters, .. } => {
            std::iter::once(&**expr).chain(trim_what.iter().map(|part| &**part)).chain(trim_characters.iter().flatten()).collect()
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            [expr, overlay_what, overlay_from].into_iter().chain(overlay_for).map(|part| &**part).collect()
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let whens = conditions.iter().flat_map(|when| [&when.condition, &when.result]);
            operand.iter().map(|part| &**part).chain(whens).chain(else_result.iter().map(|part| &**part)).collect()
        }
        _ => return None,
    })
}
