//! Which objects are done, in 12 bytes each.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wasmill_engine::{Error, Progress, Result, SplitState};

use super::object::{Position, changed};

/// The name of the entry in a checkpoint that stands for all objects that are done. No object has it: their names begin with `s3://`.
pub(super) const SEEN: &str = "@done";

/// The bytes of an object: eight of its name's digest, four of its content's. Two of a million objects share their eight with
/// a chance of one to thirty million.
const ENTRY_BYTES: usize = 12;

/// A set of objects and what their content was.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<[u8; 8], [u8; 4]>);

impl Seen {
    /// Whether an object is one of them.
    ///
    /// # Errors
    /// Environment: it is, but was another.
    pub(super) fn has(&self, id: &str, etag: &str, size: u64) -> Result<bool> {
        match self.0.get(&name(id)) {
            None => Ok(false),
            Some(known) if *known == content(etag, size) => Ok(true),
            Some(_) => Err(changed(id)),
        }
    }

    pub(super) fn insert(&mut self, id: &str, etag: &str, size: u64) {
        self.0.insert(name(id), content(etag, size));
    }

    /// Adds what a checkpoint's entry holds.
    pub(super) fn restore(&mut self, value: &Value) -> Result<()> {
        let damaged = |why: &str| Error::environment(format!("the checkpoint's list of objects that are done is damaged: {why}"));
        let text = value["seen"].as_str().ok_or_else(|| damaged("it is not there"))?;
        let bytes = STANDARD.decode(text).map_err(|_| damaged("it is not base64"))?;
        if bytes.len() % ENTRY_BYTES != 0 {
            return Err(damaged("it is cut short"));
        }
        for entry in bytes.chunks_exact(ENTRY_BYTES) {
            let (mut name, mut content) = ([0; 8], [0; 4]);
            name.copy_from_slice(&entry[..8]);
            content.copy_from_slice(&entry[8..]);
            self.0.insert(name, content);
        }
        Ok(())
    }

    fn to_value(&self) -> Value {
        let bytes: Vec<u8> = self.0.iter().flat_map(|(name, content)| name.iter().chain(content)).copied().collect();
        json!({ "objects": self.0.len(), "seen": STANDARD.encode(bytes) })
    }
}

fn name(id: &str) -> [u8; 8] {
    first(&Sha256::digest(id))
}

fn content(etag: &str, size: u64) -> [u8; 4] {
    first(&Sha256::digest(format!("{etag} {size}")))
}

fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest[..N]);
    bytes
}

/// Gathers every object that is done into one entry.
pub(super) fn compact(progress: &mut Progress) -> Result<()> {
    let mut seen = Seen::default();
    if let Some(state) = progress.get(SEEN) {
        seen.restore(&state.position)?;
    }
    let before = progress.len();
    let mut failed = None;
    progress.retain(|id, state| {
        if &**id == SEEN || !state.done {
            return true;
        }
        match Position::read(id, &state.position) {
            Ok(position) => seen.insert(id, &position.etag, position.size),
            Err(error) => failed = Some(error),
        }
        false
    });
    if let Some(error) = failed {
        return Err(error);
    }
    if progress.len() < before {
        progress.insert(SEEN.into(), SplitState { position: seen.to_value(), done: true });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(etag: &str, done: bool) -> SplitState {
        let position = Position { offset: 7, size: 7, etag: etag.to_owned(), ended: false };
        SplitState { position: position.to_value(), done }
    }

    #[test]
    fn done_objects_share_one_entry_and_are_known_again() {
        let id = |number: usize| format!("s3://lake/raw/{number:06}.json");
        let mut progress = Progress::new();
        for number in 0..5_000 {
            progress.insert(id(number).into(), state(&format!("\"{number}\""), number != 4_999));
            if number % 1_000 == 7 {
                compact(&mut progress).unwrap();
            }
        }
        compact(&mut progress).unwrap();
        assert_eq!(progress.keys().map(|id| &**id).collect::<Vec<_>>(), [SEEN, &id(4_999)]);
        let written = serde_json::to_string(&progress).unwrap();
        assert!(written.len() < 17 * 5_000, "{} bytes", written.len());
        let mut seen = Seen::default();
        seen.restore(&progress[SEEN].position).unwrap();
        assert!((0..4_999).all(|number| seen.has(&id(number), &format!("\"{number}\""), 7).unwrap()));
        assert!(!seen.has(&id(4_999), "\"4999\"", 7).unwrap() && !seen.has(&id(5_000), "x", 7).unwrap());
        assert!(seen.has(&id(3), "\"3\"", 8).unwrap_err().message().contains("changed since it was read"));
        let again = progress.clone();
        compact(&mut progress).unwrap();
        assert_eq!(progress, again, "nothing new, nothing changed");
    }

    #[test]
    fn a_damaged_entry_is_an_error() {
        for bad in [json!({}), json!({"seen": "%"}), json!({"seen": "AAAA"})] {
            assert!(Seen::default().restore(&bad).is_err(), "{bad}");
        }
    }
}
