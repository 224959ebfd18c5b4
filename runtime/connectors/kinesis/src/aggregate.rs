//! Records that the Kinesis Producer Library packed into one.
//!
//! The format is that of <https://github.com/awslabs/kinesis-aggregation/blob/master/KPL_AGGREGATED_RECORD_FORMAT.md>: four magic bytes, a protobuf
//! message, its MD5. What does not fit it in any point is a plain record, as the Kinesis Client Library takes it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use prost::Message;

const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
const DIGEST_BYTES: usize = 16;

/// One record of an aggregate.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub key: Arc<str>,
    pub data: Bytes,
}

/// What an aggregate holds for the shard that it lies in.
#[derive(Debug, PartialEq)]
pub(super) enum Aggregate {
    /// Records, in order.
    Parts(Vec<Part>),
    /// This many records belong to another shard: all of them or some.
    Elsewhere(usize),
}

#[derive(Clone, PartialEq, Message)]
struct Packed {
    #[prost(string, repeated, tag = "1")]
    keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<PackedRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct PackedRecord {
    #[prost(uint64, optional, tag = "1")]
    key: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    hash_key: Option<u64>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    data: Option<Bytes>,
}

/// Unpacks an aggregate without copying its records; none if it is a plain record.
///
/// With `shard`, an aggregate that holds a record of another shard's hash keys is left out as a
/// whole. After a split or merge its producer sees that it went to another shard than it was packed
/// for, and sends all of its records again.
pub(super) fn unpack(data: &Bytes, shard: Option<&RangeInclusive<u128>>) -> Option<Aggregate> {
    let body = data.strip_prefix(&MAGIC).filter(|body| body.len() > DIGEST_BYTES)?;
    let (message, digest) = body.split_at_checked(body.len() - DIGEST_BYTES)?;
    if Md5::digest(message).as_slice() != digest {
        return None;
    }
    // A slice of `Bytes` instead of a plain one: what is decoded from it shares its memory.
    let packed = Packed::decode(data.slice(MAGIC.len()..data.len() - DIGEST_BYTES)).ok()?;
    let keys: Vec<Arc<str>> = packed.keys.iter().map(|key| key.as_str().into()).collect();
    let hash_keys = packed.hash_keys.iter().map(|key| key.parse::<u128>()).collect::<Result<Vec<_>, _>>().ok()?;
    let count = packed.records.len();
    let mut parts = Vec::with_capacity(count);
    let mut elsewhere = false;
    for record in packed.records {
        let key = keys.get(usize::try_from(record.key?).ok()?)?;
        let hash_key = match record.hash_key {
            Some(index) => *hash_keys.get(usize::try_from(index).ok()?)?,
            None => hash_of(key),
        };
        elsewhere |= shard.is_some_and(|shard| !shard.contains(&hash_key));
        parts.push(Part { key: Arc::clone(key), data: record.data? });
    }
    Some(if elsewhere { Aggregate::Elsewhere(count) } else { Aggregate::Parts(parts) })
}

/// The hash key of a partition key: its MD5 as a number.
pub(super) fn hash_of(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: RangeInclusive<u128> = 0..=u128::MAX;

    /// Packs records by partition key, explicit hash key and data.
    fn pack(records: &[(&str, Option<u128>, &[u8])]) -> Bytes {
        let mut packed = Packed::default();
        for (key, hash_key, data) in records {
            packed.keys.push((*key).to_owned());
            let hash_key = hash_key.map(|hash_key| {
                packed.hash_keys.push(hash_key.to_string());
                packed.hash_keys.len() as u64 - 1
            });
            let key = Some(packed.keys.len() as u64 - 1);
            packed.records.push(PackedRecord { key, hash_key, data: Some(Bytes::copy_from_slice(data)) });
        }
        seal(&packed.encode_to_vec())
    }

    fn seal(message: &[u8]) -> Bytes {
        [&MAGIC, message, &Md5::digest(message)].concat().into()
    }

    fn datas(aggregate: Option<Aggregate>) -> Vec<Vec<u8>> {
        match aggregate {
            Some(Aggregate::Parts(parts)) => parts.into_iter().map(|part| part.data.to_vec()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_come_out_in_order_and_share_the_memory() {
        let data = pack(&[("a", None, b"one"), ("b", Some(7), b""), ("a", None, b"three")]);
        let unpacked = unpack(&data, Some(&ALL));
        let Some(Aggregate::Parts(parts)) = &unpacked else { panic!("{unpacked:?}") };
        assert!(data.as_ptr_range().contains(&parts[0].data.as_ptr()), "nothing is copied");
        assert_eq!(&*parts[1].key, "b");
        assert_eq!(datas(unpacked), [&b"one"[..], b"", b"three"]);
        assert_eq!(unpack(&pack(&[]), Some(&ALL)), None, "one of nothing is a plain record");
    }

    /// The bytes that AWS's own aggregator for Python writes for two records.
    #[test]
    fn the_format_is_that_of_the_producer_library() {
        let message = b"\x0a\x02k1\x0a\x02k2\x1a\x07\x08\x00\x1a\x03one\x1a\x07\x08\x01\x1a\x03two";
        assert_eq!(datas(unpack(&seal(message), Some(&ALL))), [b"one", b"two"]);
    }

    #[test]
    fn an_aggregate_with_records_of_another_shard_is_left_out_as_a_whole() {
        let lower = 0..=(u128::MAX / 2);
        let upper = (u128::MAX / 2 + 1)..=u128::MAX;
        let data = pack(&[("a", Some(5), b"lower"), ("b", Some(u128::MAX), b"upper")]);
        assert_eq!(unpack(&data, Some(&lower)), Some(Aggregate::Elsewhere(2)));
        assert_eq!(unpack(&data, Some(&upper)), Some(Aggregate::Elsewhere(2)));
        assert_eq!(datas(unpack(&data, None)), [b"lower", b"upper"]);
        // The MD5 of "a" begins with 0x0c, that of "b" with 0x92.
        assert_eq!(datas(unpack(&pack(&[("a", None, b"x")]), Some(&lower))), [b"x"]);
        assert_eq!(unpack(&pack(&[("b", None, b"x")]), Some(&lower)), Some(Aggregate::Elsewhere(1)));
    }

    #[test]
    fn what_is_damaged_is_a_plain_record() {
        let good = pack(&[("a", Some(1), b"one")]);
        let mut flipped = good.to_vec();
        flipped[8] ^= 1;
        let no_key = Packed { records: vec![PackedRecord { key: Some(3), hash_key: None, data: Some(Bytes::new()) }], ..Packed::default() };
        let no_hash = Packed { keys: vec!["a".into()], hash_keys: vec!["x".into()], records: Vec::new() };
        let plain: [Bytes; 7] = [
            flipped.into(),
            good.slice(..good.len() - 1),
            Bytes::from_static(&MAGIC),
            Bytes::new(),
            seal(b"\xff\xff"),
            seal(&no_key.encode_to_vec()),
            seal(&no_hash.encode_to_vec()),
        ];
        for data in plain {
            assert_eq!(unpack(&data, Some(&ALL)), None, "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&seal(&message), Some(&ALL));
            let _ = unpack(&Bytes::from(message), Some(&ALL));
        }
    }
}
