//! Opens a stage's plugin on the columns that it gets, and finds every column that it misses or gets with a wrong type.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::stages::{AskedPlugin, PluginUse, describe_at};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::Node;
use crate::plugins::{OpenRequest, PluginProblem};
use crate::spec::Written;

/// The file's declarations about the columns of a source.
#[derive(Clone, Copy)]
pub struct DeclaredColumns<'a> {
    /// `schema`.
    pub types: Option<&'a Node>,
    /// `columns`.
    pub picked: Option<&'a Node>,
}

/// The plugin as `open_on` opens it, or `None` after a reported error. `declared` holds the file's declarations
/// about the columns of the stage's source.
pub fn open<T>(
    used: PluginUse<'_>,
    (asked, open_on): (&AskedPlugin, impl Fn(&OpenRequest<'_>) -> Result<T, PluginProblem>),
    input: &SchemaRef,
    declared: DeclaredColumns<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let missing: Vec<&Field> = needs(asked).filter(|need| input.field_with_name(need.name()).is_err()).collect();
    missing.iter().for_each(|need| diagnostics.push(column_missing(used, need, input, declared.picked)));
    let mut trial = with_columns(input, &missing);
    let mut fits = missing.is_empty();
    // A plugin refuses one column at a time: give it that one in the type that it needs, and call
    // it again.
    for _ in 0..=asked.needs.columns.fields().len() {
        let request = OpenRequest { config: &asked.config, input: Arc::clone(&trial), bounds: &asked.bounds };
        let problem = match open_on(&request) {
            Ok(opened) => return fits.then_some(opened),
            Err(problem) => problem,
        };
        let refused = refused_type(&problem, asked, &trial);
        let Some((need, given)) = refused else {
            diagnostics.push(describe_at(used, &problem, used.node.get("config")));
            return None;
        };
        diagnostics.push(column_type(used, need, &given, declared.types));
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

fn column_missing(used: PluginUse<'_>, need: &Field, input: &Schema, picked: Option<&Node>) -> Diagnostic {
    let names: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
    let message =
        format!("`{}` needs the column `{}` ({}), which it does not get", used.name, shorten(need.name(), 80), Written(need.data_type()));
    let diagnostic = Diagnostic::error("column-missing", message).at(used.input_span);
    let diagnostic = picked.into_iter().fold(diagnostic, |diagnostic, node| diagnostic.related(node.span, "the columns are picked here"));
    let listed = if names.is_empty() { "no columns".into() } else { names.join(", ") };
    diagnostic.suggest(nearest(need.name(), names)).help(format!("it gets: {listed}"))
}

fn column_type(used: PluginUse<'_>, need: &Field, given: &DataType, types: Option<&Node>) -> Diagnostic {
    let (wanted, given) = (Written(need.data_type()), Written(given));
    let message = format!("`{}` needs the column `{}` as {wanted}, and receives {given}", used.name, shorten(need.name(), 80));
    let diagnostic = Diagnostic::error("column-type", message).at(used.input_span);
    let entry = types.and_then(|node| node.entry(need.name()));
    entry.into_iter().fold(diagnostic, |diagnostic, entry| diagnostic.related(entry.node.span, "declared here"))
}
