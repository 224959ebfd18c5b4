//! Compares the columns that a pipeline requests from a source with those that the source has.

use arrow_schema::{Field, Schema};
use wasmill_connect::Survey;
use wasmill_connect::registry::SourceConnector;

use super::draft::Declared;
use super::source_columns::{SourceSchema, is_reserved};
use super::{Connectors, Extent, SourceColumns};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::{Node, Span};
use crate::spec::{SourceSpec, Written};

/// How many columns of a sample are named.
const MAX_NAMES: usize = 40;

/// Reports columns that are requested and missing, and columns that come from a sample.
pub fn check(
    source: &Declared<'_, SourceSpec>,
    connector: &dyn SourceConnector,
    (columns, found): (&SourceColumns, &SourceSchema),
    connectors: &dyn Connectors,
    diagnostics: &mut Diagnostics,
) {
    let names_some = columns.named().any(|name| !is_reserved(name));
    if names_some || columns.extent != Extent::All {
        // What can't be read stops the run, which reports why.
        let survey = connectors.survey(connector).ok().flatten().or_else(|| declared_survey(connector, found));
        if let Some(survey) = survey {
            doubled(source, &found.schema, &survey, diagnostics);
            named(source, columns, &survey, diagnostics);
            if !names_some {
                needed_of_sample(source, &columns.needed, &survey, diagnostics);
            }
        }
    }
    let inferred = sampled_names(connector, columns, &found.schema);
    if columns.extent == Extent::All && !found.is_partial {
        sampled(source, &inferred, &found.schema, diagnostics);
    }
    odd_texts(source, found, &inferred, diagnostics);
}

/// Columns that are text because of one text: did it mean that a value is missing?
fn odd_texts(source: &Declared<'_, SourceSpec>, found: &SourceSchema, sampled: &[String], diagnostics: &mut Diagnostics) {
    for odd in found.odd_texts.iter().filter(|odd| sampled.contains(&odd.column)) {
        let column = shorten(&odd.column, 80);
        let text = if odd.text.trim().is_empty() { format!("{:?}", odd.text) } else { shorten(&odd.text, 40) };
        let (records, values) = (odd.records, odd.values);
        let message = format!("the column `{column}` of `{}` is text because of `{text}` in {records} of {values} records", source.name);
        let diagnostic = match odd.means_missing() {
            true => Diagnostic::warning("odd-text", message),
            false => Diagnostic::note("odd-text", message),
        };
        let null: Vec<String> = odd.null.iter().chain([&odd.text]).map(|text| serde_json::json!(text).to_string()).collect();
        let otherwise = Written(&odd.otherwise);
        let keep = if odd.text == "NaN" { "float64" } else { "text" };
        diagnostics.push(
            diagnostic
                .at(connector_span(source))
                .help(format!("where it means null, add `csv: {{ null: [{}] }}`: then the column is {otherwise}", null.join(", ")))
                .help("`csv.null` holds for all columns")
                .help(format!("where it is a value, keep it with `schema: {{ {column}: {keep} }}`")),
        );
    }
}

/// The columns of a source without a sample.
fn declared_survey(connector: &dyn SourceConnector, found: &SourceSchema) -> Option<Survey> {
    let columns = found.there.clone().filter(|_| !connector.is_sampled())?;
    Some(Survey { columns, is_complete: true, ..Survey::default() })
}

/// The columns whose types were inferred from a sample.
pub fn sampled_names(connector: &dyn SourceConnector, columns: &SourceColumns, schema: &Schema) -> Vec<String> {
    let inferred = schema.fields().iter().filter(|field| is_asked(field) && columns.typed_field(field.name()).is_none());
    if connector.is_sampled() { inferred.map(|field| field.name().clone()).collect() } else { Vec::new() }
}

/// Whether `columns` names each column once, and all that have a type in `schema`. What is wrong is reported.
pub fn check_picked(source: &Declared<'_, SourceSpec>, names: &[String], declared: &Schema, diagnostics: &mut Diagnostics) -> bool {
    let mut fine = true;
    for (index, name) in names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)) {
        let message = format!("`columns` of `{}` picks the column `{}` twice", source.name, shorten(name, 80));
        diagnostics.push(Diagnostic::error("column-twice", message).at(picked_span(source, index)));
        fine = false;
    }
    for field in declared.fields().iter().filter(|field| !names.contains(field.name())) {
        let entry = source.node.get("schema").and_then(|node| node.entry(field.name()));
        let name = shorten(field.name(), 80);
        let message = format!("`schema` declares the type of the column `{name}`, and `columns` does not pick it");
        let diagnostic = Diagnostic::error("column-not-picked", message).at(entry.map_or(source.name_span, |entry| entry.key_span));
        let near = nearest(field.name(), names.iter().map(String::as_str));
        diagnostics.push(diagnostic.suggest(near).help("add it to `columns`, or take it out of `schema`"));
        fine = false;
    }
    fine
}

/// Columns that `columns` picks and whose type is unknown.
pub fn untyped(source: &Declared<'_, SourceSpec>, connector: &dyn SourceConnector, found: &SourceSchema, diagnostics: &mut Diagnostics) {
    let index_of = |name: &String| {
        let items = source.node.get("columns").and_then(Node::items).unwrap_or_default();
        items.iter().position(|item| item.text() == Some(name)).unwrap_or_default()
    };
    for name in &found.untyped {
        let shown = shorten(name, 80);
        let diagnostic = match &found.there {
            Some(there) => {
                let near = nearest(name, there.iter().map(String::as_str));
                let diagnostic = Diagnostic::error("column-missing", format!("`{}` has no column `{shown}`", source.name));
                diagnostic.suggest(near).help(format!("it has: {}", listed(there)))
            }
            None => Diagnostic::error("column-untyped", format!("the type of the column `{shown}` of `{}` is not declared", source.name)),
        };
        let diagnostic = match (&found.there, connector.is_sampled()) {
            (None, _) => diagnostic.help(format!("name its type, as in `schema: {{ {shown}: text }}`")),
            (Some(_), true) => diagnostic.help(format!("if later records have it, name its type, as in `schema: {{ {shown}: text }}`")),
            (Some(_), false) => diagnostic,
        };
        diagnostics.push(diagnostic.at(picked_span(source, index_of(name))));
    }
}

/// Where `columns` names a column.
fn picked_span(source: &Declared<'_, SourceSpec>, index: usize) -> Span {
    let node = source.node.get("columns");
    let item = node.and_then(Node::items).and_then(|items| items.get(index));
    item.or(node).map_or(source.name_span, |node| node.span)
}

fn is_asked(field: &Field) -> bool {
    !is_reserved(field.name())
}

fn has(survey: &Survey, field: &Field) -> bool {
    survey.columns.iter().any(|name| name == field.name())
}

fn listed(columns: &[String]) -> String {
    let names: Vec<String> = columns.iter().take(MAX_NAMES).map(|name| shorten(name, 80)).collect();
    let more = if columns.len() > MAX_NAMES { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

/// Columns of `schema` and `columns` that would be null in every row.
fn named(source: &Declared<'_, SourceSpec>, columns: &SourceColumns, survey: &Survey, diagnostics: &mut Diagnostics) {
    for column in columns.named().filter(|name| !is_reserved(name) && !survey.columns.iter().any(|there| there == name)) {
        let name = shorten(column, 80);
        let entry = source.node.get("schema").and_then(|node| node.entry(column));
        let picked = source.node.get("columns").and_then(Node::items).into_iter().flatten().find(|item| item.text() == Some(column));
        let span = picked.map(|item| item.span).or(entry.map(|entry| entry.key_span)).unwrap_or(source.name_span);
        let diagnostic = match survey.is_complete {
            true => Diagnostic::error("column-missing", format!("`{}` has no column `{name}`", source.name)),
            false => {
                let seen = match survey.records {
                    0 => "of the sampled files".to_owned(),
                    records => format!("of the {records} sampled records"),
                };
                Diagnostic::warning("column-missing", format!("`{}` has no column `{name}` in any {seen}", source.name))
            }
        };
        let near = nearest(column, survey.columns.iter().map(String::as_str));
        let diagnostic = diagnostic.at(span).suggest(near).help(format!("it has: {}", listed(&survey.columns)));
        diagnostics.push(unwrapping(survey).into_iter().fold(diagnostic, Diagnostic::help));
    }
}

/// A sample without any of the columns that stages need: every one of its rows would be nulls.
fn needed_of_sample(source: &Declared<'_, SourceSpec>, needed: &Schema, survey: &Survey, diagnostics: &mut Diagnostics) {
    let mut asked = needed.fields().iter().filter(|field| is_asked(field)).peekable();
    if survey.records == 0 || asked.peek().is_none() || asked.clone().any(|field| has(survey, field)) {
        return;
    }
    let names: Vec<String> = asked.map(|field| shorten(field.name(), 80)).collect();
    let message = format!("none of the {} sampled records of `{}` has a column that is needed", survey.records, source.name);
    let diagnostic = Diagnostic::warning("column-missing", message).at(connector_span(source));
    let diagnostic = diagnostic.help(format!("needed: {}", names.join(", "))).help(format!("they have: {}", listed(&survey.columns)));
    diagnostics.push(unwrapping(survey).into_iter().fold(diagnostic, Diagnostic::help));
}

/// What to do where the records lie inside of the record.
fn unwrapping(survey: &Survey) -> Option<String> {
    let name = survey.wrapped.as_ref()?;
    Some(format!("`{0}` holds objects: if these are the records, unwrap them, as with `jq -c '.[\"{0}\"][]'`", shorten(name, 80)))
}

/// A header that names a column twice: which one is meant?
fn doubled(source: &Declared<'_, SourceSpec>, wanted: &Schema, survey: &Survey, diagnostics: &mut Diagnostics) {
    if let Some((path, name)) = survey.doubled.as_ref().filter(|(_, name)| wanted.field_with_name(name).is_ok()) {
        let message = format!("the header of {} names the column `{}` twice", path.display(), shorten(name, 80));
        let diagnostic = Diagnostic::error("column-twice", message).at(connector_span(source));
        diagnostics.push(diagnostic.help("rename one of them in the file"));
    }
}

fn sampled(source: &Declared<'_, SourceSpec>, names: &[String], schema: &Schema, diagnostics: &mut Diagnostics) {
    if names.is_empty() {
        return;
    }
    let shown = schema.fields().iter().filter(|field| names.contains(field.name())).take(MAX_NAMES);
    let shown: Vec<String> = shown.map(|field| format!("{} {}", shorten(field.name(), 80), Written(field.data_type()))).collect();
    let more = if names.len() > MAX_NAMES { ", …" } else { "" };
    let message = format!("the columns of `{}` come from a sample", source.name);
    let diagnostic = Diagnostic::note("sampled-columns", message).at(connector_span(source));
    diagnostics.push(
        diagnostic
            .help(format!("{}{more}", shown.join(", ")))
            .help("a column that the sample lacks is reported by the run; a Delta sink with `schema_evolution: add_columns` gets it"),
    );
}

fn connector_span(source: &Declared<'_, SourceSpec>) -> Span {
    let node = source.spec.as_ref().and_then(|spec| source.node.get(spec.connector_name));
    node.map_or(source.name_span, |node| node.span)
}
