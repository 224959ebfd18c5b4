//! Which objects are done, in 12 bytes each.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use wasmill_engine::codes::STATE_DAMAGED;
use wasmill_engine::{Error, RecordForm, Result, Retired, SplitState};

use super::object::{Position, changed};

/// The name of the entry in checkpoints of Wasmill 0.1 that covers all objects that are done. No
/// object has it: their names begin with `s3://`.
pub(super) const SEEN: &str = "@done";

/// The bytes of an object: eight of its name's digest, four of its content's. Two of a million objects share their eight with
/// a chance of one to thirty million.
///
/// Stored in pieces of state: never to be changed.
pub(super) const FORM: RecordForm = RecordForm { key_bytes: 8, record_bytes: 12 };

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

    /// Adds what the entry of a checkpoint of Wasmill 0.1 holds.
    pub(super) fn restore_entry(&mut self, value: &Value) -> Result<()> {
        self.restore(&Retired::new(FORM, &entries(value)?)?);
        Ok(())
    }

    /// Adds what earlier runs have read.
    pub(super) fn restore(&mut self, retired: &Retired) {
        for (name, content) in retired.iter() {
            if let Some((name, content)) = name.first_chunk().zip(content.first_chunk()) {
                self.0.insert(*name, *content);
            }
        }
    }
}

/// The records in the entry of a checkpoint of Wasmill 0.1.
fn entries(value: &Value) -> Result<Vec<u8>> {
    let damaged =
        |why: &str| Error::environment(format!("the checkpoint's list of objects that are done is damaged: {why}")).code(STATE_DAMAGED);
    let text = value["seen"].as_str().ok_or_else(|| damaged("it is not there"))?;
    let bytes = STANDARD.decode(text).map_err(|_| damaged("it is not base64"))?;
    if bytes.len() % FORM.record_bytes != 0 {
        return Err(damaged("it is cut short"));
    }
    Ok(bytes)
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

/// Adds the record of an object that is done, or those of the entry in which Wasmill 0.1 kept all of them. False if the entry has to stay.
pub(super) fn retire(id: &str, state: &SplitState, records: &mut Vec<u8>) -> Result<bool> {
    if id == SEEN {
        records.extend(entries(&state.position)?);
    } else if state.done {
        let position = Position::read(id, &state.position)?;
        records.extend(name(id).into_iter().chain(content(&position.etag, position.size)));
    }
    Ok(state.done)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(etag: &str, done: bool) -> SplitState {
        let position = Position { offset: 7, size: 7, etag: etag.to_owned(), ended: false };
        SplitState { position: position.to_value(), done }
    }

    #[test]
    fn objects_that_are_done_are_known_again_by_their_records() {
        let id = |number: usize| format!("s3://lake/raw/{number:06}.json");
        let mut records = Vec::new();
        for number in 0..5_000 {
            let is_done = number != 4_999;
            assert_eq!(retire(&id(number), &state(&format!("\"{number}\""), is_done), &mut records).unwrap(), is_done);
        }
        assert_eq!(records.len(), 12 * 4_999);
        // As Wasmill 0.1 kept them.
        let entry = json!({ "objects": 4_999, "seen": STANDARD.encode(&records) });
        let mut by_entry = Seen::default();
        by_entry.restore_entry(&entry).unwrap();
        let mut again = Vec::new();
        assert!(retire(SEEN, &SplitState { position: entry, done: true }, &mut again).unwrap());
        assert_eq!(again, records);
        let mut seen = Seen::default();
        seen.restore(&Retired::new(FORM, &records).unwrap());
        assert_eq!(seen.0, by_entry.0);
        assert!((0..4_999).all(|number| seen.has(&id(number), &format!("\"{number}\""), 7).unwrap()));
        assert!(!seen.has(&id(4_999), "\"4999\"", 7).unwrap() && !seen.has(&id(5_000), "x", 7).unwrap());
        assert!(seen.has(&id(3), "\"3\"", 8).unwrap_err().message().contains("changed since it was read"));
    }

    #[test]
    fn a_damaged_entry_is_an_error() {
        for bad in [json!({}), json!({"seen": "%"}), json!({"seen": "AAAA"})] {
            assert!(Seen::default().restore_entry(&bad).is_err(), "{bad}");
            assert!(retire(SEEN, &SplitState { position: bad, done: true }, &mut Vec::new()).is_err());
        }
    }
}
