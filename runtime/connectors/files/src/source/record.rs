//! The record of a split that has no entry in a checkpoint any more: 51 bytes instead of a path and a position in JSON.
//!
//! It holds sixteen bytes of the digest of its name; how far it was read and the file's size then,
//! each in eight bytes, big-endian; sixteen bytes of the digest of the file's start; the length of
//! that start, in two bytes; and flags. So the later one of two records compares greater.

use sha2::{Digest, Sha256};
use wasmill_engine::{RecordForm, Result, Retired, SplitState};

use super::splits::BegunPart;
use wasmill_reading::{Identity, Part, Position};

/// Stored in pieces of state: never to be changed.
pub const FORM: RecordForm = RecordForm { key_bytes: KEY_BYTES, record_bytes: KEY_BYTES + VALUE_BYTES };
const KEY_BYTES: usize = 16;
const VALUE_BYTES: usize = 8 + 8 + HEAD_BYTES + 2 + 1;
const HEAD_BYTES: usize = 16;
const DONE: u8 = 1;
const ENDED: u8 = 2;

fn key(name: &str) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key.copy_from_slice(&Sha256::digest(name)[..KEY_BYTES]);
    key
}

/// Adds the record of a split. False if its entry has to stay: it was read in part, and would be missed if its file went.
pub fn add(name: &str, part: Part, state: &SplitState, records: &mut Vec<u8>) -> Result<bool> {
    let Position { offset, file, ended } = Position::from_value(&state.position)?;
    // A file that is followed is never done, but may have been read to its end.
    let is_read_up = state.done || (part.lines().is_some() && offset >= file.size);
    let (mut head, head_bytes) = ([0; HEAD_BYTES], u16::try_from(file.head_bytes));
    let (true, Ok(()), Ok(head_bytes)) = (is_read_up, hex::decode_to_slice(&file.head, &mut head), head_bytes) else { return Ok(false) };
    let flags = if state.done { DONE } else { 0 } | if ended { ENDED } else { 0 };
    records.extend_from_slice(&key(name));
    records.extend_from_slice(&offset.to_be_bytes());
    records.extend_from_slice(&file.size.to_be_bytes());
    records.extend_from_slice(&head);
    records.extend_from_slice(&head_bytes.to_be_bytes());
    records.push(flags);
    Ok(true)
}

/// How far a retired split was read, and whether it was done.
pub fn find(retired: &Retired, name: &str) -> Option<BegunPart> {
    let value = retired.get(&key(name))?;
    let (offset, value) = value.split_first_chunk()?;
    let (size, value) = value.split_first_chunk()?;
    let (head, value) = value.split_first_chunk::<HEAD_BYTES>()?;
    let (head_bytes, value) = value.split_first_chunk()?;
    let flags = value.first()?;
    let head_bytes = u16::from_be_bytes(*head_bytes).into();
    let file = Identity { size: u64::from_be_bytes(*size), head: hex::encode(head), head_bytes };
    let position = Position { offset: u64::from_be_bytes(*offset), file, ended: flags & ENDED != 0 };
    Some(BegunPart { position, is_done: flags & DONE != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(offset: u64, ended: bool) -> Position {
        let file = Identity { size: 1 << 40, head: hex::encode([7; HEAD_BYTES]), head_bytes: 4_096 };
        Position { offset, file, ended }
    }

    fn state(position: &Position, done: bool) -> SplitState {
        SplitState { position: position.to_value(), done }
    }

    #[test]
    fn a_split_is_found_again_as_it_was_read_last() {
        let mut records = Vec::new();
        for (offset, done) in [(5, true), (1 << 39, true), (70, true)] {
            assert!(add("a@0", Part::From(0), &state(&position(offset, false), done), &mut records).unwrap());
        }
        assert!(add("b@all", Part::Whole, &state(&position(9, true), true), &mut records).unwrap());
        let retired = Retired::new(FORM, &records).unwrap();
        assert_eq!(retired.len(), 2);
        assert_eq!(find(&retired, "a@0"), Some(BegunPart { position: position(1 << 39, false), is_done: true }));
        assert_eq!(find(&retired, "b@all"), Some(BegunPart { position: position(9, true), is_done: true }));
        assert_eq!(find(&retired, "a@16777216"), None);
    }

    #[test]
    fn what_was_read_in_part_keeps_its_entry() {
        let mut records = Vec::new();
        assert!(!add("a@0", Part::From(0), &state(&position(5, false), false), &mut records).unwrap());
        let whole = position(1 << 40, false);
        assert!(!add("a@all", Part::Whole, &state(&whole, false), &mut records).unwrap());
        let mut odd = whole.clone();
        odd.file.head = "short".into();
        assert!(!add("a@0", Part::From(0), &state(&odd, true), &mut records).unwrap(), "a digest with an unknown form");
        assert!(records.is_empty());
        assert!(add("a@0", Part::From(0), &state(&whole, false), &mut records).unwrap(), "it was followed to its end");
        let retired = Retired::new(FORM, &records).unwrap();
        assert_eq!(find(&retired, "a@0"), Some(BegunPart { position: whole, is_done: false }));
        assert!(add("a@0", Part::From(0), &SplitState { position: serde_json::json!(7), done: true }, &mut records).is_err());
    }
}
