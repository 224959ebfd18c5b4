//! Text from outside, made safe to display: without control characters and bounded in length.

/// The most bytes of a line in the log or of a plugin's text in a message.
pub const MAX_LINE_BYTES: usize = 4096;

/// The most bytes of a name or value that is quoted in a message.
const MAX_SHOWN_BYTES: usize = 256;

/// A name or a value of a plugin, made safe for a message.
pub fn shown(text: &str) -> String {
    printable(text, MAX_SHOWN_BYTES)
}

/// Escapes control characters (so that no terminal obeys them) and cuts what is longer than `max_bytes` once escaped.
pub fn printable(text: &str, max_bytes: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max_bytes));
    for character in text.chars() {
        let before = line.len();
        if is_unprintable(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > max_bytes {
            line.truncate(before);
            line.push('…');
            break;
        }
    }
    line
}

/// Control characters, and those that turn the direction of text around.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_are_written_out() {
        assert_eq!(printable("a\u{1b}[31mred\u{7}", 100), "a\\u{1b}[31mred\\u{7}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(printable("ééé", 4), "éé…");
    }
}
