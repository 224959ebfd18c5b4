//! Texts for a terminal: names, messages and values come from plugins, servers and files, and may
//! contain control sequences.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes what a terminal would interpret: control characters except line feeds and tabs, and
/// characters that reorder or hide text. The form, `\u001b`, is that of JSON, so a JSON text stays
/// one.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_harmful(character) {
            // Writing to a String can't fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character steers a terminal or changes how the text around it is read. All of them have at most 16 bits.
pub(crate) fn is_harmful(character: char) -> bool {
    let hidden = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}');
    hidden || (character.is_control() && !matches!(character, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(harmless("a\u{1b}[31mred\u{7}\u{9b}2J\u{202e}x\r\n\tb"), "a\\u001b[31mred\\u0007\\u009b2J\\u202ex\\u000d\n\tb");
        assert!(matches!(harmless("Côte d'Ivoire 🎉\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let value = serde_json::json!({ "text": "\u{1b}[2J \u{9b}1m \u{202e} \u{7f}" });
        let shown = harmless(&format!("{value:#}")).into_owned();
        assert!(!shown.chars().any(is_harmful), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
