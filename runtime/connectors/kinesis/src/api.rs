//! The requests to Kinesis for one stream, one attempt each, in this crate's types.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::operation::subscribe_to_shard::SubscribeToShardOutput;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{
    ConsumerStatus, PutRecordsRequestEntry, Shard as AwsShard, ShardIteratorType, StartingPosition, StreamStatus,
};
use wasmill_engine::Result;

use super::clock::Clock;
use super::connection::KinesisConnection;
use super::failure::{Failure, Kind, judge, of_service};
use super::retry::Retries;
use crate::codes::STREAM_MISSING;

/// The client for one stream.
pub(super) struct Api {
    client: Client,
    name: String,
    arn: Option<String>,
    pub(super) clock: Arc<Clock>,
    pub(super) retries: Retries,
}

/// The description of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub arn: String,
    /// When it was created, milliseconds since 1970: distinguishes it from another one of its name.
    pub created: i64,
    /// How long records stay, milliseconds.
    pub retention: i64,
}

/// A shard in the list of shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shard {
    pub id: String,
    /// Its parent shards, by a split or a merge.
    pub parents: Vec<String>,
    /// The hash keys that belong to it.
    pub hash_keys: RangeInclusive<u128>,
    /// Whether it takes no more records.
    pub closed: bool,
}

/// Where to begin in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning<'a> {
    /// At its oldest record.
    TrimHorizon,
    /// At the first record that is not older than this, milliseconds since 1970.
    Timestamp(i64),
    /// At this record.
    At(&'a str),
    /// Behind this record.
    After(&'a str),
}

impl Beginning<'_> {
    fn parts(self) -> (ShardIteratorType, Option<String>, Option<DateTime>) {
        match self {
            Self::TrimHorizon => (ShardIteratorType::TrimHorizon, None, None),
            Self::Timestamp(time) => (ShardIteratorType::AtTimestamp, None, Some(DateTime::from_millis(time))),
            Self::At(number) => (ShardIteratorType::AtSequenceNumber, Some(number.to_owned()), None),
            Self::After(number) => (ShardIteratorType::AfterSequenceNumber, Some(number.to_owned()), None),
        }
    }
}

/// The name in a stream's ARN, or the name itself.
pub(super) fn stream_name(stream: &str) -> &str {
    match stream.starts_with("arn:") {
        true => stream.rsplit_once("stream/").map_or(stream, |(_, name)| name),
        false => stream,
    }
}

impl Api {
    /// For a stream by name or ARN. Sends no request yet.
    pub(super) async fn new(connection: &KinesisConnection, stream: &str, patience: Duration) -> Result<Self> {
        let clock = Arc::new(Clock::default());
        let client = connection.client(&clock).await?;
        let arn = stream.starts_with("arn:").then(|| stream.to_owned());
        Ok(Self { client, name: stream_name(stream).to_owned(), arn, clock, retries: Retries::new(patience) })
    }

    /// Name or ARN, as requests take the one or the other.
    fn target(&self) -> (Option<String>, Option<String>) {
        (self.arn.is_none().then(|| self.name.clone()), self.arn.clone())
    }

    /// Sends a request until it succeeds, or the retries end.
    pub(super) async fn with_retries<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        patience: Option<Duration>,
        mut ask: impl FnMut() -> F,
    ) -> Result<T> {
        let mut retry = patience.map_or_else(|| self.retries.retry(), |patience| self.retries.retry_for(patience));
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    /// Describes the stream, which has to be ready.
    pub(super) async fn describe(&self) -> Result<Stream, Failure> {
        let (name, arn) = self.target();
        let what = format!("describe the stream {}", self.name);
        let answer = self.client.describe_stream_summary().set_stream_name(name).set_stream_arn(arn).send().await;
        let answer = answer.map_err(|error| judge(&what, &error))?;
        let Some(summary) = answer.stream_description_summary else {
            return Err(Failure::passing(format!("cannot {what}: the response has no description")));
        };
        match &summary.stream_status {
            StreamStatus::Active | StreamStatus::Updating => {}
            StreamStatus::Creating => return Err(Failure::waiting(format!("the stream {} is still being created", self.name))),
            other => {
                let error = wasmill_engine::Error::environment(format!("the stream {} is {other}", self.name)).code(STREAM_MISSING);
                return Err(Failure { kind: Kind::NotFound, error, is_wait: false });
            }
        }
        let created = summary.stream_creation_timestamp.to_millis().unwrap_or_default();
        let retention = i64::from(summary.retention_period_hours) * 3_600_000;
        Ok(Stream { arn: summary.stream_arn, created, retention })
    }

    /// All shards that have records, or take some.
    pub(super) async fn shards(&self) -> Result<Vec<Shard>, Failure> {
        let what = format!("list the shards of the stream {}", self.name);
        let mut all = Vec::new();
        let mut next: Option<String> = None;
        loop {
            // With a token, the stream must not be named.
            let (name, arn) = if next.is_some() { (None, None) } else { self.target() };
            let answer = self.client.list_shards().set_stream_name(name).set_stream_arn(arn).set_next_token(next).send().await;
            let answer = answer.map_err(|error| {
                let failure = judge(&what, &error);
                // A token that is too old: from the beginning.
                if failure.kind == Kind::Expired { Failure { kind: Kind::Passing, ..failure } } else { failure }
            })?;
            all.extend(answer.shards.unwrap_or_default().iter().map(shard));
            next = answer.next_token;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    /// An iterator of a shard.
    pub(super) async fn iterator(&self, shard: &str, beginning: Beginning<'_>) -> Result<String, Failure> {
        let (name, arn) = self.target();
        let (kind, number, time) = beginning.parts();
        let what = format!("open the shard {shard} of the stream {}", self.name);
        let request = self.client.get_shard_iterator().set_stream_name(name).set_stream_arn(arn).shard_id(shard);
        let request = request.shard_iterator_type(kind).set_starting_sequence_number(number).set_timestamp(time);
        let answer = request.send().await.map_err(|error| self.of_future(judge(&what, &error), beginning))?;
        answer.shard_iterator.ok_or_else(|| Failure::passing(format!("cannot {what}: the response has no iterator")))
    }

    /// A time that is now by the local clock may be in the future by the server's, which rejects
    /// it.
    fn of_future(&self, failure: Failure, beginning: Beginning<'_>) -> Failure {
        let is_now = matches!(beginning, Beginning::Timestamp(time) if (time - self.clock.now()).abs() < 10_000);
        if is_now && failure.kind == Kind::Invalid { Failure { kind: Kind::Passing, ..failure } } else { failure }
    }

    /// Reads on.
    pub(super) async fn records(&self, shard: &str, iterator: &str, limit: i32) -> Result<GetRecordsOutput, Failure> {
        let request = self.client.get_records().shard_iterator(iterator).limit(limit).set_stream_arn(self.arn.clone());
        request.send().await.map_err(|error| judge(&format!("read the shard {shard} of the stream {}", self.name), &error))
    }

    /// Puts records; returns for each why it was refused, if it was.
    pub(super) async fn put(&self, records: Vec<PutRecordsRequestEntry>) -> Result<Vec<Option<Failure>>, Failure> {
        let (name, arn) = self.target();
        let what = format!("put records into the stream {}", self.name);
        let request = self.client.put_records().set_stream_name(name).set_stream_arn(arn).set_records(Some(records));
        let answer = request.send().await.map_err(|error| judge(&what, &error))?;
        let refused = |code: &str, message: Option<&str>| of_service(&what, code, message.unwrap_or_default());
        let results = answer.records.iter();
        Ok(results.map(|result| result.error_code().map(|code| refused(code, result.error_message()))).collect())
    }

    /// The ARN of a consumer of fan-out, which is registered if it is not there.
    pub(super) async fn consumer(&self, stream_arn: &str, consumer: &str) -> Result<String, Failure> {
        let what = format!("find the consumer {consumer} of the stream {}", self.name);
        let found = self.client.describe_stream_consumer().stream_arn(stream_arn).consumer_name(consumer).send().await;
        match found.map_err(|error| judge(&what, &error)) {
            Ok(answer) => match answer.consumer_description {
                Some(one) if one.consumer_status == ConsumerStatus::Active => return Ok(one.consumer_arn),
                _ => return Err(Failure::waiting(format!("the consumer {consumer} of the stream {} is not active yet", self.name))),
            },
            Err(failure) if failure.kind == Kind::NotFound => {}
            Err(failure) => return Err(failure),
        }
        let what = format!("register the consumer {consumer} of the stream {}", self.name);
        let made = self.client.register_stream_consumer().stream_arn(stream_arn).consumer_name(consumer).send().await;
        match made.map_err(|error| judge(&what, &error)) {
            // Another process may have been quicker.
            Ok(_) => {}
            Err(failure) if failure.kind == Kind::InUse => {}
            Err(failure) => return Err(failure),
        }
        Err(Failure::waiting(format!("the consumer {consumer} of the stream {} is being registered", self.name)))
    }

    /// Subscribes to a shard. A consumer has one subscription per shard: while another one lives,
    /// this fails for some seconds.
    pub(super) async fn subscribe(
        &self,
        consumer_arn: &str,
        shard: &str,
        beginning: Beginning<'_>,
    ) -> Result<SubscribeToShardOutput, Failure> {
        let what = format!("subscribe to the shard {shard} of the stream {}", self.name);
        let (kind, number, time) = beginning.parts();
        let position = StartingPosition::builder().r#type(kind).set_sequence_number(number).set_timestamp(time).build();
        let position = position.map_err(|error| Failure::from(wasmill_engine::Error::bug(format!("cannot {what}: {error}"))))?;
        let request = self.client.subscribe_to_shard().consumer_arn(consumer_arn).shard_id(shard).starting_position(position);
        request.send().await.map_err(|error| {
            let failure = self.of_future(judge(&what, &error), beginning);
            if failure.kind == Kind::InUse { Failure { kind: Kind::Passing, ..failure } } else { failure }
        })
    }
}

/// A shard of the list, in our words.
pub(super) fn shard(shard: &AwsShard) -> Shard {
    let parents = [&shard.parent_shard_id, &shard.adjacent_parent_shard_id].into_iter().flatten().cloned().collect();
    let range = shard.hash_key_range.as_ref();
    let first = range.and_then(|range| range.starting_hash_key.parse().ok()).unwrap_or(0);
    let last = range.and_then(|range| range.ending_hash_key.parse().ok()).unwrap_or(u128::MAX);
    let closed = shard.sequence_number_range.as_ref().is_some_and(|range| range.ending_sequence_number.is_some());
    Shard { id: shard.shard_id.clone(), parents, hash_keys: first..=last, closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_stream() {
        assert_eq!(stream_name("arn:aws:kinesis:eu-central-1:123456789012:stream/streaming-1-pin"), "streaming-1-pin");
        assert_eq!(stream_name("streaming-1-pin"), "streaming-1-pin");
    }
}
