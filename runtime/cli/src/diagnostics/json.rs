//! Findings for programs.

use serde_json::{Value, json};

use super::{Diagnostics, Level, NOT_CHECKED_WORDS};
use crate::document::{Redactor, SourceFiles, Span};

/// All findings as one object: `{"ok", "errors", "warnings", "diagnostics": [{"level", "code", "class", "message", "file", "line", …}], "not_checked":
/// [{"what", "at"}]}`.
pub fn to_json(diagnostics: &Diagnostics, files: &SourceFiles, redactor: &Redactor) -> Value {
    let place = |span: Span| {
        json!({
            "file": files.name(span.file), "line": span.start.line, "column": span.start.column,
            "end_line": span.end.line, "end_column": span.end.column,
        })
    };
    let found = diagnostics.iter().map(|diagnostic| {
        json!({
            "level": diagnostic.level,
            "code": diagnostic.code,
            "class": diagnostic.class,
            "message": redactor.clean(&diagnostic.message),
            "at": diagnostic.span.map(place),
            "text": diagnostic.span.map(|span| files.line(span.file, span.start.line)),
            "allowed": diagnostic.allowed.as_deref().map(|text| redactor.clean(text)),
            "did_you_mean": diagnostic.suggestion.as_deref().map(|text| redactor.clean(text)),
            "help": diagnostic.help.iter().map(|text| redactor.clean(text)).collect::<Vec<_>>(),
            "related": diagnostic.related.iter().map(|(span, why)| json!({"at": place(*span), "message": redactor.clean(why)})).collect::<Vec<_>>(),
        })
    });
    let not_checked = diagnostics.not_checked().map(|diagnostic| {
        let message = diagnostic.message.strip_prefix(NOT_CHECKED_WORDS).unwrap_or(&diagnostic.message);
        json!({ "what": redactor.clean(message), "at": diagnostic.span.map(place) })
    });
    json!({
        "ok": !diagnostics.has_errors(),
        "errors": diagnostics.count(Level::Error),
        "warnings": diagnostics.count(Level::Warning),
        "diagnostics": found.collect::<Vec<_>>(),
        "not_checked": not_checked.collect::<Vec<_>>(),
    })
}
