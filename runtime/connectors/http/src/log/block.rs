//! The bytes of the log. Numbers are little-endian.
//!
//! ```text
//! segment: "WMHTTP1\n" | 16 bytes id of the log | u64 number of its first record | blocks
//! block:   u32 magic | u32 length of its entries | u64 XXH3 of them | entries
//! entry:   u32 length of what follows | u64 first record | i64 milliseconds since 1970 | u8 1: with a key
//!          [16 bytes key | 16 bytes digest of the request] | u16 length | name | u32 records | records
//! record:  u8 flags: 1 key, 2 value, 4 time | [i64 milliseconds] | [u32 length | key] | [u32 length | value]
//! ```

use bytes::{Buf, Bytes};
use twox_hash::XxHash3_64;
use uuid::Uuid;
use wasmill_gateway::{Record, RequestKey};

/// What a segment begins with.
const SEGMENT_MAGIC: &[u8; 8] = b"WMHTTP1\n";
/// The length of the beginning of a segment.
pub(super) const HEADER_BYTES: usize = 32;
/// What a block begins with.
const BLOCK_MAGIC: u32 = 0xb10c_4a7e;
/// The length of the beginning of a block.
pub(super) const BLOCK_HEADER_BYTES: usize = 16;
/// No block is longer: its length is one of 32 bits.
pub(super) const MAX_BLOCK_BYTES: usize = 1 << 30;

const WITH_KEY: u8 = 1;
const WITH_VALUE: u8 = 2;
const WITH_TIME: u8 = 4;

/// A request in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of its first record.
    pub first: u64,
    /// When it was accepted, milliseconds since 1970.
    pub at: i64,
    /// Its key.
    pub key: Option<RequestKey>,
    /// The topic or stream that it was posted to.
    pub name: Bytes,
    /// Its records.
    pub records: Vec<LoggedRecord>,
}

/// A record in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRecord {
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its own time, milliseconds since 1970.
    pub timestamp: Option<i64>,
}

/// The beginning of a segment.
pub(super) fn header(id: Uuid, first: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(SEGMENT_MAGIC);
    header[8..24].copy_from_slice(id.as_bytes());
    header[24..].copy_from_slice(&first.to_le_bytes());
    header
}

/// The bytes that a request has in a block.
pub(super) fn size(name: &str, records: &[Record]) -> usize {
    let of_record = |record: &Record| 17 + record.key.as_ref().map_or(0, Bytes::len) + record.value.as_ref().map_or(0, Bytes::len);
    BLOCK_HEADER_BYTES + 60 + name.len() + records.iter().map(of_record).sum::<usize>()
}

/// Appends a request.
pub(super) fn put_entry(into: &mut Vec<u8>, first: u64, at: i64, name: &str, records: &[Record], key: Option<&RequestKey>) {
    let start = into.len();
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&first.to_le_bytes());
    into.extend_from_slice(&at.to_le_bytes());
    into.push(u8::from(key.is_some()));
    if let Some(key) = key {
        into.extend_from_slice(&key.key);
        into.extend_from_slice(&key.request);
    }
    // Names are parts of paths, and shorter by far.
    let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
    into.extend_from_slice(&(name.len() as u16).to_le_bytes());
    into.extend_from_slice(name);
    into.extend_from_slice(&(records.len() as u32).to_le_bytes());
    for record in records {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        into.push(
            flag(record.key.is_some(), WITH_KEY) | flag(record.value.is_some(), WITH_VALUE) | flag(record.timestamp.is_some(), WITH_TIME),
        );
        if let Some(time) = record.timestamp {
            into.extend_from_slice(&time.to_le_bytes());
        }
        for content in [&record.key, &record.value].into_iter().flatten() {
            into.extend_from_slice(&(content.len() as u32).to_le_bytes());
            into.extend_from_slice(content);
        }
    }
    let length = (into.len() - start - 4) as u32;
    into[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// The beginning of a block of these entries.
pub(super) fn block_header(entries: &[u8]) -> [u8; BLOCK_HEADER_BYTES] {
    let mut header = [0; BLOCK_HEADER_BYTES];
    header[..4].copy_from_slice(&BLOCK_MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&(entries.len() as u32).to_le_bytes());
    header[8..].copy_from_slice(&XxHash3_64::oneshot(entries).to_le_bytes());
    header
}

/// The length and the checksum of the entries of a block, by its beginning.
pub(super) fn read_block_header(mut header: &[u8]) -> Option<(usize, u64)> {
    if header.len() < BLOCK_HEADER_BYTES || header.get_u32_le() != BLOCK_MAGIC {
        return None;
    }
    let length = header.get_u32_le() as usize;
    (1..=MAX_BLOCK_BYTES).contains(&length).then(|| (length, header.get_u64_le()))
}

/// Whether these are the entries of a block with that checksum.
pub(super) fn matches(entries: &[u8], checksum: u64) -> bool {
    XxHash3_64::oneshot(entries) == checksum
}

/// Whether a whole block begins anywhere in these bytes.
pub(super) fn has_block(bytes: &[u8]) -> bool {
    let magic = BLOCK_MAGIC.to_le_bytes();
    let starts = bytes.windows(4).enumerate().filter(|(_, window)| *window == magic).map(|(at, _)| at);
    starts.into_iter().any(|at| {
        let rest = &bytes[at..];
        read_block_header(rest).is_some_and(|(length, checksum)| {
            rest.get(BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + length).is_some_and(|entries| matches(entries, checksum))
        })
    })
}

/// The entries of a block. `None` if they are not what they should be.
pub(super) fn entries(mut bytes: Bytes) -> Option<Vec<Entry>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = bytes.try_get_u32_le().ok()? as usize;
        all.push(entry(take(&mut bytes, length)?)?);
    }
    Some(all)
}

fn entry(mut bytes: Bytes) -> Option<Entry> {
    let (first, at) = (bytes.try_get_u64_le().ok()?, bytes.try_get_i64_le().ok()?);
    let key = match bytes.try_get_u8().ok()? {
        0 => None,
        1 => Some(RequestKey {
            key: take(&mut bytes, 16)?.as_ref().try_into().ok()?,
            request: take(&mut bytes, 16)?.as_ref().try_into().ok()?,
        }),
        _ => return None,
    };
    let length = bytes.try_get_u16_le().ok()?;
    let name = take(&mut bytes, usize::from(length))?;
    let count = bytes.try_get_u32_le().ok()? as usize;
    // Each has a byte at least.
    if count > bytes.len() {
        return None;
    }
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        records.push(record(&mut bytes)?);
    }
    bytes.is_empty().then_some(Entry { first, at, key, name, records })
}

fn record(bytes: &mut Bytes) -> Option<LoggedRecord> {
    let flags = bytes.try_get_u8().ok()?;
    let timestamp = if flags & WITH_TIME != 0 { Some(bytes.try_get_i64_le().ok()?) } else { None };
    let mut content = |flag: u8| -> Option<Option<Bytes>> {
        if flags & flag == 0 {
            return Some(None);
        }
        let length = bytes.try_get_u32_le().ok()? as usize;
        take(bytes, length).map(Some)
    };
    Some(LoggedRecord { key: content(WITH_KEY)?, value: content(WITH_VALUE)?, timestamp })
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let content = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
        let record = (content(), content(), any::<Option<i64>>()).prop_map(|(key, value, timestamp)| Record {
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            timestamp,
            ..Record::default()
        });
        proptest::collection::vec(record, 0..10)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(requests in proptest::collection::vec((records(), any::<bool>(), "[a-z]{0,9}"), 1..5)) {
            let (mut bytes, mut first) = (Vec::new(), 7);
            for (records, with_key, name) in &requests {
                let key = with_key.then_some(RequestKey { key: [1; 16], request: [2; 16] });
                let before = bytes.len();
                put_entry(&mut bytes, first, -5, name, records, key.as_ref());
                prop_assert!(bytes.len() - before <= size(name, records), "the size is an upper bound");
                first += records.len() as u64;
            }
            let (length, checksum) = read_block_header(&block_header(&bytes)).unwrap();
            prop_assert_eq!(length, bytes.len());
            prop_assert!(matches(&bytes, checksum));
            let read = entries(bytes.into()).unwrap();
            prop_assert_eq!(read.len(), requests.len());
            for (entry, (records, with_key, name)) in read.iter().zip(&requests) {
                prop_assert_eq!((entry.key.is_some(), entry.name.as_ref(), entry.at), (*with_key, name.as_bytes(), -5));
                let written: Vec<LoggedRecord> = records
                    .iter()
                    .map(|record| LoggedRecord { key: record.key.clone(), value: record.value.clone(), timestamp: record.timestamp })
                    .collect();
                prop_assert_eq!(&entry.records, &written);
            }
        }

        #[test]
        fn any_bytes_are_entries_or_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = has_block(&bytes);
            let _ = read_block_header(&bytes);
            let _ = entries(bytes.into());
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..60, change in 1u8..) {
            let mut bytes = Vec::new();
            put_entry(&mut bytes, 0, 0, "pins", &[Record::of_value("0123456789")], None);
            let (_, checksum) = read_block_header(&block_header(&bytes)).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= change;
            prop_assert!(!matches(&bytes, checksum));
        }
    }
}
