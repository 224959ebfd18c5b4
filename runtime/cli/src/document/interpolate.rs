//! Fills in `${env:NAME}`, `${env:NAME:-default}`, `${secret:NAME}`, `${file:path}` and `${table:delta:place#column}`.

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::{Node, Redactor, Span, Value};
use crate::diagnostics::{Diagnostic, Diagnostics, Level, nearest};
use crate::registry::connectors;

/// The largest file that `${file:path}` takes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where interpolated values come from.
pub trait World {
    /// An environment variable, `None` if it is not set; `Err` is what is wrong with it.
    fn env(&self, name: &str) -> Result<Option<String>, String>;
    /// The names of all environment variables, for suggestions.
    fn env_names(&self) -> Vec<String>;
    /// The text of a file.
    fn file(&self, path: &str) -> Result<String, String>;
    /// The value of a column in the only row of a connector's table.
    fn table(&self, connector: &str, place: &str, column: &str) -> Result<String, String>;
    /// Whether a check does without what is not set: it is noted, and what depends on it is not checked.
    fn is_partial(&self) -> bool {
        false
    }
}

/// The environment and the files of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessWorld;

impl World for ProcessWorld {
    fn env(&self, name: &str) -> Result<Option<String>, String> {
        match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable `{name}` is not valid UTF-8")),
        }
    }

    fn env_names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let cannot = |error: &dyn std::fmt::Display| format!("cannot read the file `{path}`: {error}");
        let metadata = Path::new(path).metadata().map_err(|error| cannot(&error))?;
        if metadata.is_dir() {
            return Err(format!("`{path}` is a folder, not a file"));
        }
        let file = std::fs::File::open(path).map_err(|error| cannot(&error))?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("the file `{path}` is larger than {} KiB", MAX_FILE_BYTES / 1024));
        }
        String::from_utf8(bytes).map_err(|_| format!("the file `{path}` is not valid UTF-8"))
    }

    fn table(&self, connector: &str, place: &str, column: &str) -> Result<String, String> {
        let readers = || connectors().iter().filter_map(|connector| Some((connector.name, connector.only_value?)));
        let Some((_, only_value)) = readers().find(|(name, _)| *name == connector) else {
            let names: Vec<String> = readers().map(|(name, _)| format!("`{name}`")).collect();
            return Err(match names.as_slice() {
                [] => "this build of wasmill has no connector whose tables it can read".to_owned(),
                names => format!("values are read from tables of {}, and not of `{connector}`", names.join(", ")),
            });
        };
        only_value(place, column).map_err(|error| match error.hint_text() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        })
    }
}

/// The environment and the files of this process, from which variables and files of secrets may be
/// missing: a machine that checks a pipeline without running it has no credentials.
#[derive(Debug, Clone, Copy)]
pub struct PartialWorld;

impl World for PartialWorld {
    fn env(&self, name: &str) -> Result<Option<String>, String> {
        ProcessWorld.env(name)
    }

    fn env_names(&self) -> Vec<String> {
        ProcessWorld.env_names()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        ProcessWorld.file(path)
    }

    fn table(&self, _: &str, place: &str, _: &str) -> Result<String, String> {
        Err(format!("the table {place} is not read without its servers"))
    }

    fn is_partial(&self) -> bool {
        true
    }
}

/// Fills in every scalar of a tree; `$${` is an escaped `${`. The values of `${secret:…}`, `${file:…}`
/// and `${table:…}` must not be displayed from then on.
pub fn interpolate(node: &mut Node, world: &dyn World, redactor: &Redactor, diagnostics: &mut Diagnostics) {
    let span = node.span;
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().for_each(|entry| interpolate(&mut entry.node, world, redactor, diagnostics)),
        Value::List(items) => items.iter_mut().for_each(|item| interpolate(item, world, redactor, diagnostics)),
        Value::Scalar(scalar) if scalar.text.contains("${") => match fill(&scalar.text, span, scalar.plain, world) {
            Ok(Filled { text, interpolated, outside, secrets }) => {
                secrets.iter().for_each(|secret| redactor.add(secret));
                scalar.text = text;
                scalar.interpolated |= interpolated;
                scalar.outside = outside;
                scalar.secret |= !secrets.is_empty();
            }
            Err(Unfilled { found, references }) => {
                (scalar.interpolated, scalar.unknown) = (true, true);
                scalar.unset = found.iter().all(|diagnostic| diagnostic.level == Level::Note);
                scalar.outside = references;
                found.into_iter().for_each(|diagnostic| diagnostics.push(diagnostic));
            }
        },
        Value::Scalar(_) => {}
    }
}

#[derive(Default)]
struct Filled {
    text: String,
    interpolated: bool,
    outside: Vec<Range<usize>>,
    secrets: Vec<String>,
}

impl Filled {
    fn add(&mut self, value: Referred) {
        let start = self.text.len();
        self.text.push_str(&value.text);
        self.interpolated = true;
        if value.origin != Origin::Default {
            self.outside.push(start..self.text.len());
        }
        if value.origin == Origin::Secret && !value.text.is_empty() {
            self.secrets.push(value.text);
        }
    }
}

/// A text that could not be filled in.
struct Unfilled {
    /// Why not.
    found: Vec<Diagnostic>,
    /// The ranges of its references, in bytes.
    references: Vec<Range<usize>>,
}

/// The value of a reference.
struct Referred {
    text: String,
    origin: Origin,
}

#[derive(PartialEq, Eq)]
enum Origin {
    /// Written in the reference itself.
    Default,
    /// The environment.
    Environment,
    /// The environment, a file or a table, for a reference whose value must not be displayed.
    Secret,
}

fn fill(text: &str, span: Span, plain: bool, world: &dyn World) -> Result<Filled, Unfilled> {
    let mut filled = Filled::default();
    let mut unfilled = Unfilled { found: Vec::new(), references: Vec::new() };
    let mut rest = text;
    let quote = usize::from(!plain);
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            filled.text.push_str(&rest[..start - 1]);
            filled.text.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        filled.text.push_str(&rest[..start]);
        let offset = text.len() - rest.len() + start;
        let chars_before = text[..offset].chars().count() + quote;
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('}') else {
            let here = span.part(chars_before, 2);
            let diagnostic = Diagnostic::error("interpolation", "`${` without `}`");
            unfilled.found.push(diagnostic.at(here).help("write `$${` for a literal `${`"));
            unfilled.references.push(offset..text.len());
            rest = "";
            break;
        };
        let here = span.part(chars_before, inner[..end].chars().count() + 3);
        unfilled.references.push(offset..offset + end + 3);
        match look_up(&inner[..end], here, world) {
            Ok(value) => filled.add(value),
            Err(diagnostic) => unfilled.found.push(diagnostic),
        }
        rest = &inner[end + 1..];
    }
    filled.text.push_str(rest);
    if unfilled.found.is_empty() { Ok(filled) } else { Err(unfilled) }
}

fn look_up(reference: &str, span: Span, world: &dyn World) -> Result<Referred, Diagnostic> {
    let failed = |message: String| Diagnostic::error("interpolation", message).at(span);
    let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0', ':', '$', '{']);
    match reference.split_once(':') {
        Some(("env", rest)) => {
            let (name, default) = rest.split_once(":-").map_or((rest, None), |(name, default)| (name, Some(default)));
            if !is_name(name) {
                return Err(not_a_reference(reference, span));
            }
            // As in a shell, a variable that is set to nothing has no value.
            match (world.env(name).map_err(failed)?, default) {
                (Some(text), _) if !text.is_empty() || default.is_none() => Ok(Referred { text, origin: Origin::Environment }),
                (_, Some(default)) => Ok(Referred { text: default.to_owned(), origin: Origin::Default }),
                (_, None) => Err(not_set(name, span, world)),
            }
        }
        Some(("secret", name)) if is_name(name) => match world.env(name).map_err(failed)? {
            Some(text) => Ok(Referred { text, origin: Origin::Secret }),
            None => Err(not_set(name, span, world)),
        },
        Some(("secret", rest)) if rest.split_once(":-").is_some_and(|(name, _)| is_name(name)) => {
            Err(failed("a `${secret:…}` has no default: it would be a secret in the file".into())
                .help("write `${secret:NAME}`, or `${env:NAME:-default}` for values that are not secret"))
        }
        Some(("file", path)) if !path.is_empty() => {
            let text = world.file(path).map_err(|why| if world.is_partial() { not_checked(&why, span) } else { failed(why) })?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(Referred { text: text.strip_suffix('\r').unwrap_or(text).to_owned(), origin: Origin::Secret })
        }
        Some(("table", rest)) => {
            let place = rest.split_once(':').and_then(|(connector, rest)| Some((connector, rest.rsplit_once('#')?)));
            match place {
                Some((connector, (place, column))) if !connector.is_empty() && !place.is_empty() && !column.is_empty() => {
                    let text = world.table(connector, place, column);
                    let text = text.map_err(|why| if world.is_partial() { not_checked(&why, span) } else { failed(why) })?;
                    Ok(Referred { text, origin: Origin::Secret })
                }
                _ => Err(not_a_reference(reference, span)),
            }
        }
        _ => Err(not_a_reference(reference, span)),
    }
}

fn not_a_reference(reference: &str, span: Span) -> Diagnostic {
    Diagnostic::error("interpolation", format!("`${{{reference}}}` is not a reference"))
        .at(span)
        .allowed("${env:NAME}, ${env:NAME:-default}, ${secret:NAME}, ${file:path}, ${table:delta:place#column}")
        .help("write `$${` for a literal `${`")
}

/// What a check does without.
fn not_checked(why: &str, span: Span) -> Diagnostic {
    Diagnostic::not_checked(format_args!("what depends on this value: {why}")).at(span)
}

fn not_set(name: &str, span: Span, world: &dyn World) -> Diagnostic {
    if world.is_partial() {
        return not_checked(&format!("the environment variable `{name}` is not set"), span);
    }
    let names = world.env_names();
    let near = nearest(name, names.iter().map(String::as_str));
    Diagnostic::error("interpolation", format!("the environment variable `{name}` is not set"))
        .at(span)
        .suggest(near)
        .help(format!("set it, or give a default: ${{env:{name}:-…}}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Scalar, SourceFiles, parse};
    use super::*;

    struct Fixed;

    impl World for Fixed {
        fn env(&self, name: &str) -> Result<Option<String>, String> {
            Ok([("NAME", "value"), ("EMPTY", "")].into_iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        }
        fn env_names(&self) -> Vec<String> {
            vec!["NAME".into()]
        }
        fn file(&self, _: &str) -> Result<String, String> {
            Ok("line\n".into())
        }
        fn table(&self, connector: &str, place: &str, column: &str) -> Result<String, String> {
            Ok(format!("{connector}|{place}|{column}"))
        }
    }

    fn filled_with(yaml: &str, redactor: &Redactor) -> (Scalar, Vec<String>) {
        let mut files = SourceFiles::default();
        let file = files.add("f", yaml);
        let mut diagnostics = Diagnostics::default();
        let mut node = parse(&files, file, &mut diagnostics).unwrap();
        interpolate(&mut node, &Fixed, redactor, &mut diagnostics);
        let scalar = node.get("a").and_then(Node::scalar).unwrap().clone();
        (scalar, diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect())
    }

    /// The text, what of it came from outside, and whether it is secret.
    fn filled(yaml: &str) -> (String, Vec<String>, bool) {
        let (scalar, messages) = filled_with(yaml, &Redactor::default());
        assert_eq!(messages, [""; 0]);
        let outside = scalar.outside.iter().map(|range| scalar.text[range.clone()].to_owned()).collect();
        (scalar.text, outside, scalar.secret)
    }

    fn messages(yaml: &str) -> Vec<String> {
        filled_with(yaml, &Redactor::default()).1
    }

    #[test]
    fn fills_in_and_knows_what_came_from_outside_and_what_is_secret() {
        assert_eq!(filled("a: x-${env:NAME}/${env:NAME}!"), ("x-value/value!".into(), vec!["value".into(), "value".into()], false));
        assert_eq!(filled("a: x-${secret:NAME}"), ("x-value".into(), vec!["value".into()], true));
        assert_eq!(filled("a: ${file:f}"), ("line".into(), vec!["line".into()], true));
        let cell = "delta|s3://keys/of#mine|Access key ID";
        assert_eq!(filled("a: ${table:delta:s3://keys/of#mine#Access key ID}"), (cell.into(), vec![cell.into()], true));
        assert_eq!(filled("a: $${env:NAME}"), ("${env:NAME}".into(), vec![], false));
    }

    #[test]
    fn a_default_replaces_what_is_unset_or_empty() {
        assert_eq!(filled("a: ${env:NAME:-other}").0, "value");
        for unset in ["OTHER", "EMPTY"] {
            assert_eq!(filled(&format!("a: ${{env:{unset}:-http://h:1/x-y}}")), ("http://h:1/x-y".into(), vec![], false));
        }
        assert_eq!(filled("a: 'x${env:OTHER:-}'").0, "x", "nothing is a default, too");
        assert_eq!(filled("a: ${env:EMPTY}").0, "", "without one, a variable may be empty");
        let (scalar, _) = filled_with("a: ${env:OTHER:-12}", &Redactor::default());
        assert!(scalar.is_text() && scalar.kind() == super::super::Kind::Integer(12), "it is read as the requested type");
    }

    #[test]
    fn only_secrets_are_kept_from_texts() {
        let redactor = Redactor::default();
        filled_with("a: ${env:NAME}", &redactor);
        assert_eq!(redactor.clean("value"), "value");
        filled_with("a: ${secret:NAME}", &redactor);
        assert_eq!(redactor.clean("value"), "(redacted)");
    }

    #[test]
    fn what_is_not_set_is_noted_where_a_check_does_without() {
        let with = |yaml: &str| {
            let mut files = SourceFiles::default();
            let file = files.add("f", yaml);
            let mut diagnostics = Diagnostics::default();
            let mut node = parse(&files, file, &mut diagnostics).unwrap();
            interpolate(&mut node, &PartialWorld, &Redactor::default(), &mut diagnostics);
            let scalar = node.get("a").and_then(Node::scalar).unwrap().clone();
            (scalar, diagnostics)
        };
        let (scalar, found) = with("a: x-${env:WASMILL_NOT_SET}-${secret:WASMILL_NOT_SET}-${file:/nowhere/f}");
        assert_eq!((found.not_checked().count(), found.has_errors()), (3, false));
        assert!(scalar.unknown && scalar.unset);
        let outside: Vec<&str> = scalar.outside.iter().map(|range| &scalar.text[range.clone()]).collect();
        assert_eq!(outside, ["${env:WASMILL_NOT_SET}", "${secret:WASMILL_NOT_SET}", "${file:/nowhere/f}"]);
        let (scalar, found) = with("a: ${env:WASMILL_NOT_SET} ${what}");
        assert!(scalar.unknown && !scalar.unset && found.has_errors(), "a mistake stays one");
    }

    #[test]
    fn reports_every_failure_of_a_scalar() {
        let found = messages("a: '${env:OTHER} ${what} ${env:'");
        assert_eq!(found, ["the environment variable `OTHER` is not set", "`${what}` is not a reference", "`${` without `}`"]);
        for wrong in ["${table:delta:place}", "${table:delta:#a}", "${table:delta:place#}", "${table:place#a}"] {
            assert_eq!(messages(&format!("a: {wrong}")), [format!("`{wrong}` is not a reference")]);
        }
        assert_eq!(messages("a: ${env:A:+b}"), ["`${env:A:+b}` is not a reference"]);
        assert_eq!(messages("a: ${secret:A:-b}"), ["a `${secret:…}` has no default: it would be a secret in the file"]);
    }
}
