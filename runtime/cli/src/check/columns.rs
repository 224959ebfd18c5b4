//! Compares the columns that a pipeline asks of a source with those that the source has.

use arrow_schema::{Field, Schema};
use wasmill_connect::Survey;
use wasmill_connect::registry::SourceConnector;

use super::draft::Declared;
use super::{Connectors, SourceColumns};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest, shorten};
use crate::document::Span;
use crate::spec::{SourceSpec, Written};

/// How many columns of a sample are named.
const MOST_NAMES: usize = 40;

/// Reports columns that are asked for and not there, and columns that come from a sample.
pub fn check(
    source: &Declared<'_, SourceSpec>,
    connector: &dyn SourceConnector,
    (columns, schema): (&SourceColumns, &Schema),
    connectors: &dyn Connectors,
    diagnostics: &mut Diagnostics,
) {
    // What can't be read stops the run, which says why.
    let survey = || connectors.survey(connector).ok().flatten();
    match columns {
        SourceColumns::Declared(wanted) => {
            if let Some(survey) = survey() {
                doubled(source, wanted, &survey, diagnostics);
                declared(source, wanted, &survey, diagnostics);
            }
        }
        SourceColumns::Needed(needed) => {
            if let Some(survey) = survey() {
                doubled(source, needed, &survey, diagnostics);
                needed_of_sample(source, needed, &survey, diagnostics);
            }
        }
        SourceColumns::Sampled { .. } if connector.is_sampled() => sampled(source, schema, diagnostics),
        SourceColumns::Sampled { .. } => {}
    }
}

fn is_asked(field: &Field) -> bool {
    !field.name().starts_with("_source.")
}

fn has(survey: &Survey, field: &Field) -> bool {
    survey.columns.iter().any(|name| name == field.name())
}

fn listed(survey: &Survey) -> String {
    let names: Vec<String> = survey.columns.iter().take(MOST_NAMES).map(|name| shorten(name, 80)).collect();
    let more = if survey.columns.len() > MOST_NAMES { ", …" } else { "" };
    format!("{}{more}", names.join(", "))
}

/// Columns of `schema` that would be null in every row.
fn declared(source: &Declared<'_, SourceSpec>, wanted: &Schema, survey: &Survey, diagnostics: &mut Diagnostics) {
    for field in wanted.fields().iter().filter(|field| is_asked(field) && !has(survey, field)) {
        let name = shorten(field.name(), 80);
        let entry = source.node.get("schema").and_then(|node| node.entry(field.name()));
        let span = entry.map_or(source.name_span, |entry| entry.key_span);
        let diagnostic = match survey.is_complete {
            true => Diagnostic::error("column-missing", format!("`{}` has no column `{name}`", source.name)),
            false => {
                let seen = match survey.records {
                    0 => "of the files that were looked at".to_owned(),
                    records => format!("of the {records} records that were looked at"),
                };
                Diagnostic::warning("column-missing", format!("`{}` has no column `{name}` in any {seen}", source.name))
            }
        };
        let near = nearest(field.name(), survey.columns.iter().map(String::as_str));
        let diagnostic = diagnostic.at(span).suggest(near).help(format!("it has: {}", listed(survey)));
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
    let message = format!("none of the {} records of `{}` that were looked at has a column that is needed", survey.records, source.name);
    let diagnostic = Diagnostic::warning("column-missing", message).at(connector_span(source));
    let diagnostic = diagnostic.help(format!("needed: {}", names.join(", "))).help(format!("they have: {}", listed(survey)));
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

fn sampled(source: &Declared<'_, SourceSpec>, schema: &Schema, diagnostics: &mut Diagnostics) {
    let names = schema.fields().iter().take(MOST_NAMES);
    let names: Vec<String> = names.map(|field| format!("{} {}", shorten(field.name(), 80), Written(field.data_type()))).collect();
    let more = if schema.fields().len() > MOST_NAMES { ", …" } else { "" };
    let message = format!("the columns of `{}` come from a sample", source.name);
    let diagnostic = Diagnostic::note("sampled-columns", message).at(connector_span(source));
    diagnostics.push(
        diagnostic
            .help(format!("{}{more}", names.join(", ")))
            .help("a column that the sample lacks is reported by the run; a Delta sink with `schema_evolution: add_columns` gets it"),
    );
}

fn connector_span(source: &Declared<'_, SourceSpec>) -> Span {
    let node = source.spec.as_ref().and_then(|spec| source.node.get(spec.connector_name));
    node.map_or(source.name_span, |node| node.span)
}
