//! Environment variables from files in the format of dotenv.

use std::path::Path;

use wasmill_engine::{Error, Result};

use super::codes::ENV_FILE;

/// Sets the variables of a file that are not set. To be called before the process has a second thread.
///
/// # Errors
/// Environment: the file can't be read. Configuration: a line is not one of dotenv. No error holds what the file holds.
pub fn load(path: &Path) -> Result<()> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| Error::environment(format!("cannot read the file {shown}: {error}")))?;
    if let Some(offset) = reference(&text) {
        let error = wrong(path, &text, offset, "`$` begins a reference to another variable");
        return Err(error.hint("put the value in single quotes, which keep it as it is"));
    }
    dotenvy::from_read(text.as_bytes()).map_err(|error| match error {
        dotenvy::Error::LineParse(line, _) => {
            let offset = text.find(line.trim()).unwrap_or(0);
            wrong(path, &text, offset, "this is not a line `NAME=value`").hint("put values with spaces, quotes or `#` in single quotes")
        }
        _ => Error::configuration(format!("the file {shown} can't be read as lines `NAME=value`")).code(ENV_FILE),
    })
}

fn wrong(path: &Path, text: &str, offset: usize, what: &str) -> Error {
    let line = text[..offset].matches('\n').count() + 1;
    Error::configuration(format!("{}, line {line}: {what}", path.display())).code(ENV_FILE)
}

/// Where a value refers to a variable: it would be replaced by nothing where that is not set, and a password with a `$` be another one.
fn reference(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut characters = text.char_indices();
    let mut before = '\n';
    while let Some((offset, character)) = characters.next() {
        match (quote, character) {
            (None, '#') if before.is_whitespace() => {
                characters.by_ref().find(|&(_, character)| character == '\n');
                before = '\n';
                continue;
            }
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None | Some('"'), '\\') => drop(characters.next()),
            (None | Some('"'), '$') => return Some(offset),
            _ => {}
        }
        before = character;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_found_where_dotenv_follows_it() {
        for (text, offset) in [
            ("A=b$c", Some(3)),
            ("A=\"b$c\"", Some(4)),
            ("A='b$c'", None),
            ("A=\"it's\"\nB=$c", Some(11)),
            ("# it's $1\nA=b", None),
            ("A=b # $c\nB='x'", None),
            ("A=b\\$c", None),
            ("A='b\n$c'", None),
        ] {
            assert_eq!(reference(text), offset, "{text}");
        }
    }

    #[test]
    fn an_error_names_the_line_and_not_what_is_in_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, line) in [("A_B=c\n\nhunter2 is it\n", 3), ("A_B='c'\nD_E=hunter2$\n", 2)] {
            std::fs::write(file.path(), text).unwrap();
            let error = load(file.path()).unwrap_err().to_string();
            assert!(error.contains(&format!(", line {line}: ")) && !error.contains("hunter2"), "{error}");
        }
    }
}
