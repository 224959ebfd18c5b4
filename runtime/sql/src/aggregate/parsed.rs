//! The text of an aggregate: calls of aggregate functions, and the expression around them.

use sqlparser::ast::{Expr, Function as SqlFunction};

use super::call::Call;
use super::functions::is_aggregate;
use crate::columns::{Inside, arguments, parts};
use crate::functions::{check_call, name_of};
use crate::problem::{ProblemKind, SqlProblem, shorten};
use crate::refused::refused_part;
use crate::syntax::{ColumnUse, Parsed, Places, column_name, parse};

/// An expression of aggregates that is SQL, such as `sum(a) / count(*)`. Whether it fits the columns that it meets is another question:
/// [`Aggregates::new`](crate::Aggregates::new).
#[derive(Debug, Clone)]
pub struct ParsedAggregate {
    /// The expression around the calls: its columns are their values.
    pub(super) around: Parsed,
    /// The calls, each time that one is written, in the order of the text.
    pub(super) calls: Vec<Call>,
    columns: Vec<ColumnUse>,
}

impl ParsedAggregate {
    /// Parses one expression with at least one call of an aggregate function.
    ///
    /// # Errors
    /// The text is no expression, or a part of it is none that a group has a value of.
    pub fn new(text: &str) -> Result<Self, SqlProblem> {
        let (ast, places) = parse(text)?;
        let mut walk = Walk { places: &places, calls: Vec::new() };
        walk.visit(&ast)?;
        let mut calls = walk.calls;
        if calls.is_empty() {
            let problem = SqlProblem::new(ProblemKind::Unsupported, "this aggregates nothing", 0..0);
            return Err(problem.help("for example: `count(*)`, `avg(age)`; keys are columns of the result by themselves"));
        }
        calls.sort_by_key(|call| call.span.start);
        let columns = calls.iter().flat_map(|call| call.columns.iter().cloned()).collect();
        let values = calls.iter().map(|call| ColumnUse { name: call.text.clone(), span: call.span.clone() }).collect();
        Ok(Self { around: Parsed::of(text, ast, places, values), calls, columns })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        self.around.text()
    }

    /// The columns of the input that it names, each time that it names them, in the order of the text.
    pub fn columns(&self) -> &[ColumnUse] {
        &self.columns
    }

    /// Whether it is one call and nothing around it.
    pub(super) fn is_plain_call(&self) -> bool {
        let mut part = &self.around.ast;
        while let Expr::Nested(inner) = part {
            part = inner;
        }
        matches!(part, Expr::Function(function) if is_aggregate(&name_of(function).unwrap_or_default()))
    }
}

/// Finds the calls of an expression, and refuses what is no value of a group.
struct Walk<'a> {
    places: &'a Places,
    calls: Vec<Call>,
}

impl Walk<'_> {
    fn visit(&mut self, part: &Expr) -> Result<(), SqlProblem> {
        match part {
            Expr::Identifier(name) => Err(self.bare_column(&name.value, part)),
            Expr::CompoundIdentifier(names) => Err(self.bare_column(&column_name(names), part)),
            Expr::Function(function) => self.function(function),
            Expr::Interval(_) | Expr::Value(_) | Expr::TypedString(_) => Ok(()),
            _ => parts(part).ok_or_else(|| refused_part(part, self.places))?.into_iter().try_for_each(|inner| self.visit(inner)),
        }
    }

    fn function(&mut self, function: &SqlFunction) -> Result<(), SqlProblem> {
        let is_window = function.over.is_some();
        if !is_window && is_aggregate(&name_of(function).unwrap_or_default()) {
            self.calls.push(Call::new(function, self.places)?);
            return Ok(());
        }
        check_call(function, self.places, Inside::Group)?;
        arguments(function, self.places)?.into_iter().try_for_each(|argument| self.visit(argument))
    }

    /// A group has many values of a column.
    fn bare_column(&self, name: &str, part: &Expr) -> SqlProblem {
        let shown = shorten(name, 60);
        let message = format!("the column `{shown}` is in no aggregate, and a group has many values of it");
        let problem = SqlProblem::new(ProblemKind::Unsupported, message, self.places.of_part(part));
        problem.help(format!("choose one: `max({shown})`; or make the column a key, and compute with it in a `select` behind"))
    }
}
