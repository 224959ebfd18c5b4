//! What must never be shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;

/// The values of secret keys, `${secret:…}` and `${file:…}`, and a way to take them out of a text. Cloning shares them.
///
/// The tree marks secret values, so that Wasmill's own messages leave them out. This is for texts
/// of other origin (a plugin's refusal, a library's error, a plan), which may repeat their input.
#[derive(Clone, Default)]
pub struct Redactor {
    values: Arc<RwLock<BTreeSet<String>>>,
}

/// Below this many characters a value is only removed where it is a whole word: `5` is in too many
/// texts.
const SHORT: usize = 4;
const SHOWN: &str = "(redacted)";

impl Redactor {
    /// Remembers a value that must not be shown.
    pub fn add(&self, value: &str) {
        let mut values = self.values.write();
        if !value.trim().is_empty() {
            values.insert(value.to_owned());
            // A multi-line secret may be quoted one line at a time.
            values.extend(value.lines().map(str::trim).filter(|line| line.chars().count() >= SHORT).map(str::to_owned));
        }
    }

    /// The text without those values.
    pub fn clean(&self, text: &str) -> String {
        let values = self.values.read();
        let mut longest_first: Vec<&String> = values.iter().collect();
        longest_first.sort_by_key(|value| std::cmp::Reverse(value.len()));
        longest_first.into_iter().fold(text.to_owned(), |text, value| {
            if value.chars().count() < SHORT { replace_words(&text, value) } else { text.replace(value.as_str(), SHOWN) }
        })
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

fn replace_words(text: &str, value: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let word = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
    while let Some(start) = rest.find(value) {
        let (before, after) = (&rest[..start], &rest[start + value.len()..]);
        let previous = before.chars().next_back().or_else(|| result.chars().next_back());
        let alone = !word(previous) && !word(after.chars().next());
        result.push_str(before);
        result.push_str(if alone { SHOWN } else { value });
        rest = after;
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_values_out_of_any_text() {
        let redactor = Redactor::default();
        redactor.add("hunter2");
        redactor.add("5");
        redactor.add("hunter2-and-more");
        assert_eq!(redactor.clean("x hunter2-and-more=hunter2 5 of 15"), "x (redacted)=(redacted) (redacted) of 15");
    }
}
