//! Stages that rename and drop columns: every name that does not go with the columns that they get.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use wasmill_stages::{ColumnChange, ColumnProblem};

use super::{Beyond, Opened};
use crate::check::draft::Declared;
use crate::diagnostics::{Diagnostic, Diagnostics, Level, nearest, shorten};
use crate::document::Span;
use crate::plugins::OpenedStage;
use crate::spec::StageSpec;

/// The opened stage, or `None` after what is wrong was reported.
pub(super) fn open(
    stage: &Declared<'_, StageSpec>,
    change: &ColumnChange,
    (input, beyond): (&SchemaRef, &Beyond),
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn OpenedStage>> {
    let columns: Vec<&str> = names(input).chain(beyond.names.iter().map(String::as_str)).collect();
    let mut fits = true;
    for problem in change.problems(&columns) {
        let Some(diagnostic) = describe(stage, change, &problem, (&columns, beyond)) else { continue };
        fits &= diagnostic.level != Level::Error;
        diagnostics.push(diagnostic);
    }
    fits.then(|| Arc::new(Opened::new(change.stage(input))) as Arc<dyn OpenedStage>)
}

fn names(schema: &Schema) -> impl Iterator<Item = &str> {
    schema.fields().iter().map(|field| field.name().as_str())
}

/// What to say of a problem; nothing where nobody knows which columns there are.
fn describe(
    stage: &Declared<'_, StageSpec>,
    change: &ColumnChange,
    problem: &ColumnProblem,
    (columns, beyond): (&[&str], &Beyond),
) -> Option<Diagnostic> {
    let name = &stage.name;
    let short = |column: &str| shorten(column, 80);
    Some(match problem {
        ColumnProblem::Unknown(_) if !beyond.is_certain && beyond.names.is_empty() => return None,
        ColumnProblem::Unknown(column) => {
            let verb = if matches!(change, ColumnChange::Drop(_)) { "drops" } else { "renames" };
            let near = nearest(column, columns.iter().copied());
            let listed: Vec<String> = columns.iter().map(|column| short(column)).collect();
            let diagnostic = match beyond.is_certain {
                true => {
                    Diagnostic::error("column-missing", format!("`{name}` {verb} the column `{}`, which it does not get", short(column)))
                }
                false => Diagnostic::warning(
                    "column-missing",
                    format!("`{name}` {verb} the column `{}`, which no sampled record has", short(column)),
                ),
            };
            diagnostic.at(place(stage, column)).suggest(near).help(format!("it gets: {}", listed.join(", ")))
        }
        ColumnProblem::Collision { column, name: new, other: None } => {
            let message = format!("`{name}` renames `{}` to `{}`, and there is such a column already", short(column), short(new));
            let help = format!("drop or rename `{}` in a stage before, or in the same `rename`", short(new));
            Diagnostic::error("column-twice", message).at(place(stage, column)).help(help)
        }
        ColumnProblem::Collision { column, name: new, other: Some(other) } => {
            let message = format!("`{name}` renames both `{}` and `{}` to `{}`", short(other), short(column), short(new));
            Diagnostic::error("column-twice", message).at(place(stage, column)).related(place(stage, other), "the other one")
        }
        ColumnProblem::Reserved { column, name: new } => {
            let message = format!("`{}` can't be the name of a column: `_source.` is the prefix of columns that sources add", short(new));
            Diagnostic::error("name", message).at(place(stage, column))
        }
        ColumnProblem::Twice(column) => {
            let message = format!("`{}` is listed twice", short(column));
            let again = stage.node.get("drop").and_then(|node| node.items()?.iter().rfind(|item| item.text() == Some(column)));
            Diagnostic::error("column-twice", message).at(again.map_or_else(|| place(stage, column), |item| item.span))
        }
        ColumnProblem::NothingLeft => Diagnostic::error("no-columns", format!("`{name}` drops every column that it gets"))
            .at(stage.name_span)
            .help("keep one of them"),
    })
}

/// Where a stage names a column.
fn place(stage: &Declared<'_, StageSpec>, column: &str) -> Span {
    let renamed = stage.node.get("rename").and_then(|node| node.entry(column)).map(|entry| entry.key_span);
    let dropped = || stage.node.get("drop").and_then(|node| node.items()?.iter().find(|item| item.text() == Some(column)));
    renamed.or_else(|| dropped().map(|item| item.span)).unwrap_or(stage.name_span)
}
