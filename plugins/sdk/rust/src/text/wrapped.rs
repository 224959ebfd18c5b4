//! Texts that a producer wrapped as a list of one, `["Albania"]`, and what is to become of them.

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

/// What is inside of a text that a producer wrapped as a list of one: `["Albania"]` or `['Albania']`. None for any other text.
///
/// Nothing is unescaped: a value with quotes or backslashes of its own does not count as wrapped.
#[inline]
pub fn unwrap_single(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    ['"', '\''].into_iter().find_map(|quote| {
        let value = inner.strip_prefix(quote)?.strip_suffix(quote)?;
        (!value.contains(['"', '\'', '\\'])).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwraps_lists_of_one_plain_text() {
        assert_eq!(unwrap_single(r#"["Albania"]"#), Some("Albania"));
        assert_eq!(unwrap_single("['Albania']"), Some("Albania"));
        for text in ["[]", "[", "[Albania]", r#"["a","b"]"#, "[YULIP] lipstick", r#"["a\""]"#, r#"["]"#, "", r#"["it's"]"#] {
            assert_eq!(unwrap_single(text), None, "{text:?}");
        }
    }
}
