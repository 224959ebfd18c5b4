//! Opens a stage's plugin on the columns that it gets, and finds every column that it misses or gets with a wrong type.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::draft::Declared;
use super::stages::{AskedPlugin, describe};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::Node;
use crate::plugins::{OpenRequest, OpenedStage, PluginProblem};
use crate::spec::{StageSpec, Written};

/// The file's declarations about the columns of a source.
#[derive(Clone, Copy)]
pub struct DeclaredColumns<'a> {
    /// `schema`.
    pub types: Option<&'a Node>,
    /// `columns`.
    pub picked: Option<&'a Node>,
}

/// The opened plugin, or `None` after a reported error. `declared` holds the file's declarations
/// about the columns of the stage's source.
pub fn open(
    stage: &Declared<'_, StageSpec>,
    asked: &AskedPlugin,
    input: &SchemaRef,
    declared: DeclaredColumns<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<dyn OpenedStage>> {
    let missing: Vec<&Field> = needs(asked).filter(|need| input.field_with_name(need.name()).is_err()).collect();
    missing.iter().for_each(|need| diagnostics.push(column_missing(stage, need, input, declared.picked)));
    let mut trial = with_columns(input, &missing);
    let mut fits = missing.is_empty();
    // A plugin refuses one column at a time: give it that one in the type that it needs, and call
    // it again.
    for _ in 0..=asked.needs.columns.fields().len() {
        let request = OpenRequest { config: &asked.config, input: Arc::clone(&trial), bounds: &asked.bounds };
        let problem = match asked.plugin.open(&request) {
            Ok(opened) => return fits.then_some(opened),
            Err(problem) => problem,
        };
        let refused = refused_type(&problem, asked, &trial);
        let Some((need, given)) = refused else {
            let plugin = stage.node.get("plugin").unwrap_or(stage.node);
            diagnostics.push(describe(stage, &problem, plugin, stage.node.get("config")));
            return None;
        };
        diagnostics.push(column_type(stage, need, &given, declared.types));
        trial = with_columns(&trial, &[need]);
        fits = false;
    }
    None
}

fn needs(asked: &AskedPlugin) -> impl Iterator<Item = &Field> {
    asked.needs.columns.fields().iter().map(AsRef::as_ref)
}

/// The column whose type a plugin does not take, and that type.
fn refused_type<'a>(problem: &PluginProblem, asked: &'a AskedPlugin, input: &Schema) -> Option<(&'a Field, DataType)> {
    let PluginProblem::Refused { column: Some(column), .. } = problem else { return None };
    let need = needs(asked).find(|need| need.name() == column)?;
    let given = input.field_with_name(column).ok()?.data_type();
    (given != need.data_type()).then(|| (need, given.clone()))
}

/// The schema with these columns, in place of those of the same name.
fn with_columns(schema: &SchemaRef, columns: &[&Field]) -> SchemaRef {
    let replaced = |field: &Arc<Field>| {
        columns.iter().find(|column| column.name() == field.name()).map_or_else(|| field.as_ref().clone(), |&column| column.clone())
    };
    let mut fields: Vec<Field> = schema.fields().iter().map(replaced).collect();
    fields.extend(columns.iter().filter(|column| schema.field_with_name(column.name()).is_err()).map(|&column| column.clone()));
    Arc::new(Schema::new(fields))
}

fn column_missing(stage: &Declared<'_, StageSpec>, need: &Field, input: &Schema, picked: Option<&Node>) -> Diagnostic {
    let names: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
    let message =
        format!("`{}` needs the column `{}` ({}), which it does not get", stage.name, shorten(need.name(), 80), Written(need.data_type()));
    let diagnostic = at_from(Diagnostic::error("column-missing", message), stage);
    let diagnostic = picked.into_iter().fold(diagnostic, |diagnostic, node| diagnostic.related(node.span, "the columns are picked here"));
    let listed = if names.is_empty() { "no columns".into() } else { names.join(", ") };
    diagnostic.suggest(nearest(need.name(), names)).help(format!("it gets: {listed}"))
}

fn column_type(stage: &Declared<'_, StageSpec>, need: &Field, given: &DataType, types: Option<&Node>) -> Diagnostic {
    let (wanted, given) = (Written(need.data_type()), Written(given));
    let message = format!("`{}` needs the column `{}` as {wanted}, and receives {given}", stage.name, shorten(need.name(), 80));
    let diagnostic = at_from(Diagnostic::error("column-type", message), stage);
    let entry = types.and_then(|node| node.entry(need.name()));
    entry.into_iter().fold(diagnostic, |diagnostic, entry| diagnostic.related(entry.node.span, "declared here"))
}

fn at_from(diagnostic: Diagnostic, stage: &Declared<'_, StageSpec>) -> Diagnostic {
    diagnostic.at(stage.node.get("from").map_or(stage.name_span, |node| node.span))
}
