//! What of JSON the server's types `json` and `jsonb` take.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Why a text is no JSON that the server would take; it would refuse the whole epoch for it.
pub(super) fn problem(text: &str) -> Option<String> {
    serde_json::from_str::<Acceptable>(text).err().map(|error| error.to_string())
}

/// Whether JSON that was made here holds U+0000: an escape of it, behind an even number of backslashes.
pub(super) fn holds_null(json: &[u8]) -> bool {
    memchr::memmem::find_iter(json, b"\\u0000").any(|at| json[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 0)
}

/// Any JSON without U+0000 in it.
struct Acceptable;

impl<'de> Deserialize<'de> for Acceptable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
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
        for fine in ["1", "\"a\\\\u0000\"", "{\"a\": [null, true, 1.5e3, \"\\ud83d\\ude00\"]}", " [] "] {
            assert_eq!(problem(fine), None, "{fine}");
        }
        for wrong in ["", "{", "nul", "\"\\u0000\"", "{\"a\\u0000\": 1}", "\"\\ud800\"", "[1,]", "1e999999", "NaN", "1 2"] {
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
