//! The mode: text that a test writes into the finished binary, so that one build serves attacks that no configuration reaches.

/// How many bytes of mode there are room for.
const ROOM: usize = 256;

/// Found by its first bytes and overwritten by the tests.
#[unsafe(no_mangle)]
static HOSTILE_MODE: [u8; ROOM] = {
    let mut bytes = [b' '; ROOM];
    let mark = b"hostile-mode:";
    let mut index = 0;
    while index < mark.len() {
        bytes[index] = mark[index];
        index += 1;
    }
    bytes
};

fn text() -> &'static str {
    // The compiler must not take the text for what it was at build time.
    let bytes: &'static [u8; ROOM] = unsafe { &*std::hint::black_box(&raw const HOSTILE_MODE) };
    std::str::from_utf8(bytes).unwrap_or_default().trim_end().trim_start_matches("hostile-mode:")
}

/// Whether a word is in the mode.
pub fn has(word: &str) -> bool {
    text().split(';').any(|part| part == word)
}

/// The value of `key=value` in the mode.
pub fn value(key: &str) -> Option<&'static str> {
    text().split(';').find_map(|part| part.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value))
}
