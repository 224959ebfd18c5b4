//! Columns that built-in stages name and do not get.

use arrow_schema::SchemaRef;

use super::{Around, Beyond};
use crate::check::source_columns::is_reserved;
use crate::diagnostics::{Diagnostic, nearest, shorten};
use crate::document::Span;

/// That a stage names a column that it does not get.
pub(super) fn column_missing(
    stage: &str,
    column: &str,
    span: Span,
    (input, beyond): (&SchemaRef, &Beyond),
    around: Around<'_>,
) -> Diagnostic {
    let shown = shorten(column, 80);
    if around.is_partial && !is_reserved(column) {
        let message = format!("nothing says which type the column `{shown}` has, which `{stage}` names");
        return Diagnostic::error("column-untyped", message)
            .at(span)
            .help(format!("write it into the source: `schema: {{ {shown}: int64 }}`"));
    }
    let message = format!("`{stage}` names the column `{shown}`, which it does not get");
    let names: Vec<&str> =
        input.fields().iter().map(|field| field.name().as_str()).chain(beyond.names.iter().map(String::as_str)).collect();
    let listed: Vec<String> = names.iter().map(|name| shorten(name, 80)).collect();
    let listed = if listed.is_empty() { "no columns".to_owned() } else { listed.join(", ") };
    let diagnostic =
        Diagnostic::error("column-missing", message).at(span).suggest(nearest(column, names)).help(format!("it gets: {listed}"));
    let diagnostic = match around.picked {
        Some(picked) => diagnostic.related(picked.span, "the columns are picked here"),
        None => diagnostic,
    };
    if is_reserved(column) { diagnostic.help("each source has `_source.` columns of its own, which its page lists") } else { diagnostic }
}
