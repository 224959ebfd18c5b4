//! Texts that a producer wrapped as a list of one, `["Albania"]`, and what is to become of them.

use std::borrow::Cow;

/// What becomes of a text that a producer wrapped as a list of one.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
pub enum WrappedValues {
    /// The row is rejected.
    #[default]
    Reject,
    /// The text inside is taken. All text columns then travel back from the plugin, which costs time.
    Unwrap,
    /// The text stays as it is.
    Keep,
}

/// The content of a text that a producer wrapped as a list of one: `["Albania"]` as JSON, or
/// `['Albania']` as Python prints it. `None` for any other text.
///
/// Escapes of JSON are taken for what they mean: `["Cura\u00e7ao"]`. Between single quotes nothing is unescaped: a value with backslashes or
/// single quotes of its own does not count as wrapped there.
#[inline]
pub fn unwrap_single(text: &str) -> Option<Cow<'_, str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    match inner.strip_prefix('\'') {
        Some(value) => value.strip_suffix('\'').filter(|value| !value.contains(['\'', '\\'])).map(Cow::Borrowed),
        None => json_text(inner.trim_matches([' ', '\t', '\r', '\n'])),
    }
}

/// What a text of JSON means.
fn json_text(quoted: &str) -> Option<Cow<'_, str>> {
    let value = quoted.strip_prefix('"')?.strip_suffix('"')?;
    match value.contains(|character: char| matches!(character, '"' | '\\') || character < ' ') {
        false => Some(Cow::Borrowed(value)),
        true => serde_json::from_str(quoted).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwraps_lists_of_one_text() {
        for (text, value) in [
            (r#"["Albania"]"#, "Albania"),
            ("['Albania']", "Albania"),
            (r#"["Cote d'Ivoire"]"#, "Cote d'Ivoire"),
            (r#"['a "quoted" one']"#, r#"a "quoted" one"#),
            (r#"["a \"quoted\" one, C:\\"]"#, r#"a "quoted" one, C:\"#),
            (r#"["Cura\u00e7ao \ud83c\udf84\n"]"#, "Curaçao 🎄\n"),
            ("[ \"Albania\"\n]", "Albania"),
            (r#"[""]"#, ""),
            (r#"["["]"#, "["),
        ] {
            assert_eq!(unwrap_single(text).as_deref(), Some(value), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_lists_of_one_text() {
        for text in [
            "[]",
            "[",
            "]",
            "",
            "[1]",
            "[null]",
            "[Albania]",
            r#"["a","b"]"#,
            r#"["a" "b"]"#,
            "['a', 'b']",
            "['it's']",
            r"['it\'s']",
            "[YULIP] lipstick",
            r#"["a\"]"#,
            r#"["]"#,
            "[']",
            r#"["a']"#,
            r#"["\x"]"#,
            r#"["\ud800"]"#,
            r#"[["a"]]"#,
            r#"{"a":"b"}"#,
        ] {
            assert_eq!(unwrap_single(text), None, "{text:?}");
        }
    }
}
