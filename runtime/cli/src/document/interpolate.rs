//! Fills in `${env:NAME}` and `${file:path}`.

use std::io::Read;
use std::path::Path;

use super::{Node, Redactor, Span, Value};
use crate::diagnostics::{Diagnostic, Diagnostics, nearest};

/// The largest file that `${file:path}` takes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where interpolated values come from.
pub trait World {
    /// An environment variable; `Err` says what is wrong with it.
    fn env(&self, name: &str) -> Result<String, String>;
    /// The names of all environment variables, for suggestions.
    fn env_names(&self) -> Vec<String>;
    /// The text of a file.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// The environment and the files of this process.
#[derive(Debug, Clone, Copy)]
pub struct ProcessWorld;

impl World for ProcessWorld {
    fn env(&self, name: &str) -> Result<String, String> {
        match std::env::var(name) {
            Ok(value) => Ok(value),
            Err(std::env::VarError::NotPresent) => Err(format!("the environment variable `{name}` is not set")),
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
}

/// Fills in every scalar of a tree. What was filled in is secret from then on; `$${` stands for `${`.
pub fn interpolate(node: &mut Node, world: &dyn World, redactor: &Redactor, diagnostics: &mut Diagnostics) {
    let span = node.span;
    match &mut node.value {
        Value::Map(entries) => entries.iter_mut().for_each(|entry| interpolate(&mut entry.node, world, redactor, diagnostics)),
        Value::List(items) => items.iter_mut().for_each(|item| interpolate(item, world, redactor, diagnostics)),
        Value::Scalar(scalar) if scalar.text.contains("${") => {
            let filled = fill(&scalar.text, span, scalar.plain, world, redactor);
            match filled {
                Ok(Filled { text, secret }) => {
                    scalar.text = text;
                    scalar.secret |= secret;
                }
                Err(found) => {
                    (scalar.secret, scalar.unknown) = (true, true);
                    found.into_iter().for_each(|diagnostic| diagnostics.push(diagnostic));
                }
            }
        }
        Value::Scalar(_) => {}
    }
}

struct Filled {
    text: String,
    secret: bool,
}

fn fill(text: &str, span: Span, plain: bool, world: &dyn World, redactor: &Redactor) -> Result<Filled, Vec<Diagnostic>> {
    let mut filled = Filled { text: String::with_capacity(text.len()), secret: false };
    let mut errors = Vec::new();
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
            errors.push(Diagnostic::error("interpolation", "`${` without `}`").at(here).help("write `$${` for a literal `${`"));
            rest = "";
            break;
        };
        let here = span.part(chars_before, inner[..end].chars().count() + 3);
        match look_up(&inner[..end], here, world) {
            Ok(value) => {
                redactor.add(&value);
                filled.secret = true;
                filled.text.push_str(&value);
            }
            Err(diagnostic) => errors.push(diagnostic),
        }
        rest = &inner[end + 1..];
    }
    filled.text.push_str(rest);
    if errors.is_empty() { Ok(filled) } else { Err(errors) }
}

fn look_up(reference: &str, span: Span, world: &dyn World) -> Result<String, Diagnostic> {
    let failed = |message: String| Diagnostic::error("interpolation", message).at(span);
    match reference.split_once(':') {
        Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0']) => world.env(name).map_err(|message| {
            let names = world.env_names();
            let near = nearest(name, names.iter().map(String::as_str));
            failed(message).suggest(near)
        }),
        Some(("file", path)) if !path.is_empty() => {
            let text = world.file(path).map_err(failed)?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
        }
        _ => Err(failed(format!("`${{{reference}}}` is not a reference"))
            .allowed("${env:NAME}, ${file:path}")
            .help("write `$${` for a literal `${`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SourceFiles, parse};
    use super::*;

    struct Fixed;

    impl World for Fixed {
        fn env(&self, name: &str) -> Result<String, String> {
            if name == "NAME" { Ok("value".into()) } else { Err(format!("no {name}")) }
        }
        fn env_names(&self) -> Vec<String> {
            vec!["NAME".into()]
        }
        fn file(&self, _: &str) -> Result<String, String> {
            Ok("line\n".into())
        }
    }

    fn filled(yaml: &str) -> (String, bool, Vec<String>) {
        let mut files = SourceFiles::default();
        let file = files.add("f", yaml);
        let mut diagnostics = Diagnostics::default();
        let mut node = parse(&files, file, &mut diagnostics).unwrap();
        interpolate(&mut node, &Fixed, &Redactor::default(), &mut diagnostics);
        let scalar = node.get("a").and_then(Node::scalar).unwrap().clone();
        (scalar.text, scalar.secret, diagnostics.iter().map(|diagnostic| diagnostic.message.clone()).collect())
    }

    #[test]
    fn fills_in_and_marks_secrets() {
        assert_eq!(filled("a: x-${env:NAME}/${file:f}!"), ("x-value/line!".into(), true, vec![]));
        assert_eq!(filled("a: $${env:NAME}"), ("${env:NAME}".into(), false, vec![]));
    }

    #[test]
    fn reports_every_failure_of_a_scalar() {
        let (_, _, messages) = filled("a: '${env:OTHER} ${what} ${env:'");
        assert_eq!(messages, ["no OTHER", "`${what}` is not a reference", "`${` without `}`"]);
    }
}
