//! What of JSON the server's types `json` and `jsonb` take.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Why a text is not JSON that the server would accept; it would refuse the whole epoch for it.
pub(super) fn problem(text: &str) -> Option<String> {
    if let Err(error) = serde_json::from_str::<Acceptable>(text) {
        return Some(error.to_string());
    }
    holds_strange_number(text.as_bytes()).then(|| "it holds a number of more digits than are kept".to_owned())
}

/// A number of JSON has any number of digits; the server's have 16,383 after the point. Beyond a
/// thousand none is meant as a number.
const MAX_NUMBER_BYTES: usize = 1_000;

/// Whether valid JSON holds a number that is written very long, or whose exponent makes it very
/// small. Very large ones are not JSON to the parser before.
fn holds_strange_number(json: &[u8]) -> bool {
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = behind_text(json, at + 1),
            b'-' | b'0'..=b'9' => {
                let rest = &json[at..];
                let length =
                    rest.iter().position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')).unwrap_or(rest.len());
                let exponent = rest[..length].iter().position(|byte| matches!(byte, b'e' | b'E')).map(|e| &rest[e + 1..length]);
                // More than four bytes: a sign and four digits, or unusual leading zeros.
                if length > MAX_NUMBER_BYTES || exponent.is_some_and(|exponent| exponent.len() > 4) {
                    return true;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    false
}

/// Where a text ends that begins here.
fn behind_text(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr::memchr2(b'"', b'\\', json.get(at..).unwrap_or_default()) {
        at += found;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

/// Whether JSON that was built here holds U+0000: an escape of it, after an even number of
/// backslashes.
pub(super) fn holds_null(json: &[u8]) -> bool {
    memchr::memmem::find_iter(json, b"\\u0000").any(|at| json[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 0)
}

/// Any JSON without U+0000 in it.
struct Acceptable;

impl<'de> Deserialize<'de> for Acceptable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AcceptableVisitor)
    }
}

struct AcceptableVisitor;

impl<'de> Visitor<'de> for AcceptableVisitor {
    type Value = Acceptable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Acceptable, E> {
        Ok(Acceptable)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Acceptable, E> {
        Ok(Acceptable)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Acceptable, E> {
        Ok(Acceptable)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Acceptable, E> {
        Ok(Acceptable)
    }

    fn visit_unit<E>(self) -> Result<Acceptable, E> {
        Ok(Acceptable)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Acceptable, E> {
        if text.contains('\0') { Err(E::custom("it holds U+0000, which PostgreSQL can't keep")) } else { Ok(Acceptable) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Acceptable, A::Error> {
        while items.next_element::<Acceptable>()?.is_some() {}
        Ok(Acceptable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Acceptable, A::Error> {
        while entries.next_entry::<Acceptable, Acceptable>()?.is_some() {}
        Ok(Acceptable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_refuses_is_known_before() {
        for fine in [
            "1",
            "\"a\\\\u0000\"",
            "{\"a\": [null, true, 1.5e3, \"\\ud83d\\ude00\"]}",
            " [] ",
            "[1e-999, -0.5]",
            "[\"1e-99999 \\\" 1e-99999\", 1]",
        ] {
            assert_eq!(problem(fine), None, "{fine}");
        }
        let long = format!("0.{}", "0".repeat(20_000));
        assert!(problem(&long).is_some() && problem(&format!("\"{long}\"")).is_none());
        for wrong in [
            "",
            "{",
            "nul",
            "\"\\u0000\"",
            "{\"a\\u0000\": 1}",
            "\"\\ud800\"",
            "[1,]",
            "1e999999",
            "NaN",
            "1 2",
            "[\"\\\"\", 1e-9999]",
            "1E-20000",
        ] {
            assert!(problem(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn an_escaped_backslash_makes_no_null() {
        assert!(holds_null(br#"{"a":"x\u0000"}"#));
        assert!(!holds_null(br#"{"a":"x\\u0000"}"#));
        assert!(holds_null(br#"{"a":"x\\\u0000"}"#));
        assert!(!holds_null(b"{}"));
    }
}
