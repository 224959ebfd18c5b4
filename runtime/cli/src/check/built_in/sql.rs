//! Stages in SQL: their expressions are parsed before their columns are known, and checked against them when they are.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use wasmill_sql::{ColumnUse, Filter, Parsed, ParsedAggregate, ProblemKind, Select, SqlProblem};

use super::missing::column_missing;
use super::{Around, Beyond, BuiltIn, Opened, Reported, check_name};
use crate::check::draft::Declared;
use crate::check::stages::Asking;
use crate::diagnostics::{Diagnostic, Diagnostics, shorten};
use crate::document::{Characters, Node};
use crate::plugins::OpenedStage;
use crate::spec::StageSpec;

/// An expression and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Written<P = Parsed> {
    pub parsed: P,
    characters: Characters,
}

/// What was parsed: the text, and the columns that it names.
pub(super) trait NamesColumns {
    /// As it was written.
    fn text(&self) -> &str;
    /// The columns that it names, each time.
    fn columns(&self) -> &[ColumnUse];
}

impl NamesColumns for Parsed {
    fn text(&self) -> &str {
        self.text()
    }

    fn columns(&self) -> &[ColumnUse] {
        self.columns()
    }
}

impl NamesColumns for ParsedAggregate {
    fn text(&self) -> &str {
        self.text()
    }

    fn columns(&self) -> &[ColumnUse] {
        self.columns()
    }
}

/// What `select` computes.
#[derive(Debug, Clone)]
pub struct Columns(Vec<(String, Written)>);

/// What `filter` asks.
#[derive(Debug, Clone)]
pub struct Condition(Written);

/// The stage, if it is one of these.
pub(super) fn parse(stage: &Declared<'_, StageSpec>, spec: &StageSpec, asking: &mut Asking<'_>) -> Option<Result<BuiltIn, Reported>> {
    if let (Some(expressions), Some(node)) = (&spec.select, stage.node.get("select")) {
        let mut columns = Vec::with_capacity(expressions.0.len());
        for (name, text) in &expressions.0 {
            let entry = node.entry(name);
            let key = entry.map_or(stage.name_span, |entry| entry.key_span);
            let is_named = check_name(name, key, asking.diagnostics);
            let written = parse_one(text, Parsed::new, entry.map_or(node, |entry| &entry.node), asking);
            columns.push(written.filter(|_| is_named).map(|written| (name.clone(), written)));
        }
        let columns: Option<Vec<_>> = columns.into_iter().collect();
        return Some(columns.map(|columns| BuiltIn::Select(Columns(columns))).ok_or(Reported));
    }
    let (text, node) = (spec.filter.as_ref()?, stage.node.get("filter")?);
    let written = parse_one(text, Parsed::new, node, asking);
    Some(written.map(|written| BuiltIn::Filter(Box::new(Condition(written)))).ok_or(Reported))
}

/// The parsed expression, or `None` after what is wrong was reported.
pub(super) fn parse_one<P>(
    text: &str,
    parse: impl FnOnce(&str) -> Result<P, SqlProblem>,
    node: &Node,
    asking: &mut Asking<'_>,
) -> Option<Written<P>> {
    let diagnostics = &mut *asking.diagnostics;
    if node.scalar().is_some_and(|scalar| scalar.secret) {
        let message = "an expression can't hold a secret: rejected rows quote it";
        let diagnostic = Diagnostic::error("sql-unsupported", message).at(node.span);
        diagnostics.push(diagnostic.help("`${env:NAME}` puts a value into it that is no secret"));
        return None;
    }
    let characters = Characters::of(node, asking.files);
    match parse(text) {
        Ok(parsed) => Some(Written { parsed, characters }),
        Err(problem) => {
            diagnostics.push(describe(&problem, &characters));
            None
        }
    }
}

/// A problem that has nothing to do with names of columns.
fn describe(problem: &SqlProblem, characters: &Characters) -> Diagnostic {
    let message = problem.message.clone();
    let diagnostic = match problem.kind {
        ProblemKind::Syntax => Diagnostic::error("sql-syntax", message),
        ProblemKind::Column => Diagnostic::error("column-missing", message),
        ProblemKind::Function => Diagnostic::error("sql-function", message),
        ProblemKind::Unsupported => Diagnostic::error("sql-unsupported", message),
        ProblemKind::Type => Diagnostic::error("sql-type", message),
    };
    let diagnostic = diagnostic.at(characters.span(problem.span.clone()));
    problem.help.iter().fold(diagnostic.suggest(problem.suggestion.clone()), |diagnostic, help| diagnostic.help(help.clone()))
}

impl<P: NamesColumns> Written<P> {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.parsed.columns().iter().map(|column| column.name.as_str())
    }

    /// Whether all columns are there that it names; those that are not were reported.
    pub fn finds_its_columns(
        &self,
        stage: &str,
        (input, beyond): (&SchemaRef, &Beyond),
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> bool {
        let columns = self.parsed.columns().iter().enumerate();
        let is_first = |index: usize, name: &str| self.parsed.columns()[..index].iter().all(|column| column.name != name);
        let missing = columns.filter(|(index, column)| input.index_of(&column.name).is_err() && is_first(*index, &column.name));
        missing.fold(true, |_, (_, column)| {
            let span = self.characters.span(column.span.clone());
            diagnostics.push(column_missing(stage, &column.name, span, (input, beyond), around));
            false
        })
    }

    /// Reports what is wrong with it.
    pub fn report(&self, problems: &[SqlProblem], diagnostics: &mut Diagnostics) {
        problems.iter().for_each(|problem| diagnostics.push(describe(problem, &self.characters)));
    }

    /// As the plan shows it.
    pub fn shown(&self) -> String {
        shorten(self.parsed.text().trim(), 80)
    }
}

impl Columns {
    /// The columns that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|(_, written)| written.names())
    }

    /// The name under which it passes a column as it is.
    pub fn forward(&self, column: &str) -> Option<&str> {
        self.0.iter().find(|(_, written)| written.parsed.plain_column() == Some(column)).map(|(name, _)| name.as_str())
    }

    /// The column that it passes under a name.
    pub fn back<'a>(&'a self, column: &str) -> Option<&'a str> {
        self.0.iter().find(|(name, _)| name == column).and_then(|(_, written)| written.parsed.plain_column())
    }

    /// As the plan shows it.
    pub fn describe(&self) -> String {
        let column = |(name, written): &(String, Written)| match written.parsed.plain_column() {
            Some(plain) if plain == name => name.clone(),
            _ => format!("{name}: {}", written.shown()),
        };
        format!("selects {}", self.0.iter().map(column).collect::<Vec<_>>().join(", "))
    }

    /// The opened stage, or `None` after what is wrong was reported.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        (input, beyond): (&SchemaRef, &Beyond),
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn OpenedStage>> {
        let found = self.0.iter().map(|(_, written)| written.finds_its_columns(stage.name, (input, beyond), around, diagnostics));
        let are_found: Vec<bool> = found.collect();
        let columns: Vec<(String, Parsed)> = self
            .0
            .iter()
            .zip(&are_found)
            .filter(|(_, is_found)| **is_found)
            .map(|((name, written), _)| (name.clone(), written.parsed.clone()))
            .collect();
        match Select::new(&columns, input) {
            Ok(select) => are_found.iter().all(|is_found| *is_found).then(|| Arc::new(Opened::new(select)) as Arc<dyn OpenedStage>),
            Err(problems) => {
                for (column, problem) in problems {
                    if let Some((_, written)) = self.0.iter().find(|(name, _)| *name == column) {
                        written.report(&[problem], diagnostics);
                    }
                }
                None
            }
        }
    }
}

impl Condition {
    /// The columns that it names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }

    /// As the plan shows it.
    pub fn describe(&self) -> String {
        format!("keeps rows where {}", self.0.shown())
    }

    /// The opened stage, or `None` after what is wrong was reported.
    pub fn open(
        &self,
        stage: &Declared<'_, StageSpec>,
        (input, beyond): (&SchemaRef, &Beyond),
        around: Around<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<dyn OpenedStage>> {
        if !self.0.finds_its_columns(stage.name, (input, beyond), around, diagnostics) {
            return None;
        }
        match Filter::new(&self.0.parsed, input, around.hidden) {
            Ok(filter) => Some(Arc::new(Opened::new(filter))),
            Err(problems) => {
                self.0.report(&problems, diagnostics);
                None
            }
        }
    }
}
