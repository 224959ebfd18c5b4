//! Records as a batch keeps them: plain ones, and those that were packed into one.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use aws_sdk_kinesis::types::Record as AwsRecord;
use bytes::Bytes;
use wasmill_engine::Records;

use super::config::Aggregates;
use super::position::Place;
use crate::aggregate::{Aggregate, unpack};

/// The metadata of a record.
#[derive(Debug)]
pub(super) struct Envelope {
    pub sequence_number: String,
    pub partition_key: String,
    /// Milliseconds since 1970.
    pub arrival: Option<i64>,
}

/// A record: all of what Kinesis gave, or a part of it.
#[derive(Debug)]
pub(super) struct Record {
    pub envelope: Arc<Envelope>,
    /// The number and the key of a part of an aggregate.
    pub part: Option<(u64, Arc<str>)>,
    pub is_last: bool,
    pub data: Bytes,
}

impl Record {
    pub(super) fn partition_key(&self) -> &str {
        self.part.as_ref().map_or(&self.envelope.partition_key, |(_, key)| key)
    }

    pub(super) fn sub_sequence(&self) -> u64 {
        self.part.as_ref().map_or(0, |(number, _)| *number)
    }

    /// Where to resume after it.
    pub(super) fn behind(&self) -> Place {
        let number = self.envelope.sequence_number.clone();
        if self.is_last { Place::Behind(number) } else { Place::Within(number, self.sub_sequence()) }
    }

    /// The place of the record for readers: its shard and its sequence number.
    pub(super) fn place(&self, split: &str) -> Arc<str> {
        format!("{split}/{}", self.envelope.sequence_number).into()
    }
}

/// What comes next in a shard.
#[derive(Debug)]
pub(super) enum Item {
    Record(Record),
    /// A record of Kinesis without any of its own: this many parts of it belong elsewhere.
    Nothing(Arc<Envelope>, usize),
}

impl Item {
    pub(super) fn envelope(&self) -> &Envelope {
        match self {
            Self::Record(record) => &record.envelope,
            Self::Nothing(envelope, _) => envelope,
        }
    }
}

/// Adds what a record of Kinesis holds to what comes next.
pub(super) fn unfold(record: AwsRecord, aggregates: Aggregates, hash_keys: &RangeInclusive<u128>, items: &mut VecDeque<Item>) {
    let arrival = record.approximate_arrival_timestamp.and_then(|time| time.to_millis().ok());
    let (sequence_number, partition_key) = (record.sequence_number, record.partition_key.unwrap_or_default());
    let envelope = Arc::new(Envelope { sequence_number, partition_key, arrival });
    let data = Bytes::from(record.data.into_inner());
    let unpacked = match aggregates {
        Aggregates::Unpack => unpack(&data, Some(hash_keys)),
        Aggregates::UnpackAll => unpack(&data, None),
        Aggregates::Keep => None,
    };
    match unpacked {
        None => items.push_back(Item::Record(Record { envelope, part: None, is_last: true, data })),
        Some(Aggregate::Elsewhere(count)) => items.push_back(Item::Nothing(envelope, count)),
        Some(Aggregate::Parts(parts)) if parts.is_empty() => items.push_back(Item::Nothing(envelope, 0)),
        Some(Aggregate::Parts(parts)) => {
            let last = parts.len() - 1;
            items.extend(parts.into_iter().enumerate().map(|(index, part)| {
                let (envelope, number) = (Arc::clone(&envelope), index as u64);
                Item::Record(Record { envelope, part: Some((number, part.key)), is_last: index == last, data: part.data })
            }));
        }
    }
}

/// The records of a batch, in order.
#[derive(Debug)]
pub(super) struct Kept {
    pub split: Arc<str>,
    pub records: Vec<Record>,
}

impl Records for Kept {
    fn count(&self) -> usize {
        self.records.len()
    }

    fn position(&self, index: usize) -> u64 {
        self.records.get(index).map_or(0, Record::sub_sequence)
    }

    fn bytes(&self, index: usize) -> Option<Bytes> {
        self.records.get(index).map(|record| record.data.clone())
    }

    fn place(&self, index: usize) -> Option<Arc<str>> {
        self.records.get(index).map(|record| record.place(&self.split))
    }
}
