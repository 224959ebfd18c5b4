//! Requests about streams outside of any pipeline: create, describe, list, delete, and put a record.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{StreamDescriptionSummary, StreamMode, StreamModeDetails, StreamStatus};
use wasmill_engine::{Error, Result};

use super::clock::Clock;
use super::connection::KinesisConnection;
use super::failure::{Failure, Kind, judge};
use super::retry::Retries;
use super::source::check_stream;
use crate::codes::STREAM_EXISTS;
use wasmill_connect::threads;

/// How long refused requests are retried, and how long a stream may take to be created or deleted.
const RETRY_FOR: Duration = Duration::from_secs(120);

/// How many shards a stream gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// The number of shards.
    Shards(u16),
    /// As many as its records need.
    OnDemand,
}

/// A stream in the list of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamLine {
    /// Its name.
    pub name: String,
    /// `ACTIVE`, `CREATING`, `UPDATING` or `DELETING`; `-` where the server does not report it.
    pub status: String,
    /// `PROVISIONED` or `ON_DEMAND`; `-` where the server does not report it.
    pub mode: String,
}

/// The description of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReport {
    /// Name, status and mode.
    pub line: StreamLine,
    /// Its ARN.
    pub arn: String,
    /// How long records stay.
    pub retention_hours: i32,
    /// When it was created, milliseconds since 1970.
    pub created: i64,
    /// How many consumers of fan-out are registered.
    pub consumers: i32,
    /// Its shards, closed ones included as long as they have records.
    pub shards: Vec<ShardLine>,
}

/// A shard of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardLine {
    /// Its name.
    pub id: String,
    /// Whether it takes no more records.
    pub closed: bool,
    /// Its parent shards.
    pub parents: Vec<String>,
    /// The first and the last hash key that belong to it.
    pub hash_keys: (u128, u128),
}

/// The client.
pub struct Streams {
    client: Client,
    retries: Retries,
}

impl Streams {
    /// For the streams of an account and region. Sends no request yet.
    ///
    /// # Errors
    /// Configuration: the connection. Environment: no region, no credentials.
    pub fn connect(connection: &KinesisConnection) -> Result<Self> {
        connection.check()?;
        let client = threads::handle()?.block_on(connection.client(&Arc::new(Clock::default())))?;
        Ok(Self { client, retries: Retries::new(RETRY_FOR) })
    }

    /// Creates a stream, waits until it is ready, and sets its retention in hours, where that is
    /// not a day.
    ///
    /// # Errors
    /// It exists already; Kinesis refuses.
    pub fn create(&self, name: &str, capacity: Capacity, retention_hours: Option<u16>) -> Result<()> {
        check_stream(name)?;
        threads::handle()?.block_on(async {
            let request = self.client.create_stream().stream_name(name);
            let request = match capacity {
                Capacity::Shards(count) => request.shard_count(i32::from(count)),
                Capacity::OnDemand => request.stream_mode_details(on_demand()?),
            };
            let what = format!("create the stream {name}");
            // Tried once: a lost response must not be reported as a stream that existed before.
            let made = request.send().await.map_err(|error| judge(&what, &error));
            made.map_err(|failure| match failure.kind {
                Kind::InUse => Error::environment(format!("the stream {name} is there already"))
                    .code(STREAM_EXISTS)
                    .hint("`wasmill streams describe` shows it"),
                _ => failure.error,
            })?;
            self.until(name, |stream| stream.is_some_and(|stream| stream.stream_status == StreamStatus::Active)).await?;
            let hours = retention_hours.map(i32::from).filter(|hours| *hours != 24);
            let Some(hours) = hours else { return Ok(()) };
            let what = format!("set the retention of the stream {name}");
            let request = self.client.increase_stream_retention_period().stream_name(name).retention_period_hours(hours);
            request.send().await.map(drop).map_err(|error| judge(&what, &error).error)
        })
    }

    /// Removes a stream with its records and its consumers, and waits until it is gone.
    ///
    /// # Errors
    /// There is none; Kinesis refuses.
    pub fn delete(&self, name: &str) -> Result<()> {
        threads::handle()?.block_on(async {
            let what = format!("remove the stream {name}");
            let request = self.client.delete_stream().stream_name(name).enforce_consumer_deletion(true);
            request.send().await.map_err(|error| judge(&what, &error).error)?;
            self.until(name, |stream| stream.is_none()).await
        })
    }

    /// Puts a record into a stream, and waits until it is there. One whose response was lost may be there twice.
    ///
    /// # Errors
    /// There is no such stream; Kinesis refuses, or does not respond for two minutes.
    pub fn put(&self, name: &str, key: &str, data: &[u8]) -> Result<()> {
        threads::handle()?.block_on(async {
            let what = format!("put a record into the stream {name}");
            let mut retry = self.retries.retry();
            loop {
                let request = self.client.put_record().stream_name(name).partition_key(key).data(Blob::new(data));
                match request.send().await {
                    Ok(_) => return Ok(()),
                    Err(error) => retry.after(judge(&what, &error)).await?,
                }
            }
        })
    }

    /// All streams, by name.
    ///
    /// # Errors
    /// Kinesis refuses.
    pub fn list(&self) -> Result<Vec<StreamLine>> {
        threads::handle()?.block_on(async {
            let mut all = Vec::new();
            let mut last: Option<String> = None;
            loop {
                let answer = self.client.list_streams().set_exclusive_start_stream_name(last).send().await;
                let answer = answer.map_err(|error| judge("list the streams", &error).error)?;
                // Older servers give the names only.
                for (at, name) in answer.stream_names.iter().enumerate() {
                    let summary = answer.stream_summaries().get(at);
                    let status = summary.map_or_else(|| "-".to_owned(), |summary| summary.stream_status.to_string());
                    let mode = summary.and_then(|summary| summary.stream_mode_details.as_ref());
                    let mode = mode.map_or_else(|| "-".to_owned(), |mode| mode.stream_mode.to_string());
                    all.push(StreamLine { name: name.clone(), status, mode });
                }
                last = answer.stream_names.last().cloned();
                if !answer.has_more_streams || last.is_none() {
                    all.sort_by(|one, other| one.name.cmp(&other.name));
                    return Ok(all);
                }
            }
        })
    }

    /// A stream and its shards.
    ///
    /// # Errors
    /// There is none; Kinesis refuses.
    pub fn describe(&self, name: &str) -> Result<StreamReport> {
        threads::handle()?.block_on(async {
            let stream = self.summary(name).await.map_err(|failure| failure.error)?;
            let mut shards = Vec::new();
            let mut next: Option<String> = None;
            loop {
                let stream_name = next.is_none().then(|| name.to_owned());
                let answer = self.client.list_shards().set_stream_name(stream_name).set_next_token(next).send().await;
                let answer = answer.map_err(|error| judge(&format!("list the shards of the stream {name}"), &error).error)?;
                shards.extend(answer.shards.unwrap_or_default().iter().map(super::api::shard));
                next = answer.next_token;
                if next.is_none() {
                    break;
                }
            }
            let line = |shard: super::api::Shard| ShardLine {
                hash_keys: (*shard.hash_keys.start(), *shard.hash_keys.end()),
                id: shard.id,
                closed: shard.closed,
                parents: shard.parents,
            };
            let mode = stream.stream_mode_details.as_ref().map_or_else(String::new, |mode| mode.stream_mode.to_string());
            Ok(StreamReport {
                line: StreamLine { name: stream.stream_name, status: stream.stream_status.to_string(), mode },
                arn: stream.stream_arn,
                retention_hours: stream.retention_period_hours,
                created: stream.stream_creation_timestamp.to_millis().unwrap_or_default(),
                consumers: stream.consumer_count.unwrap_or_default(),
                shards: shards.into_iter().map(line).collect(),
            })
        })
    }

    async fn summary(&self, name: &str) -> Result<StreamDescriptionSummary, Failure> {
        let what = format!("describe the stream {name}");
        let answer = self.client.describe_stream_summary().stream_name(name).send().await.map_err(|error| judge(&what, &error))?;
        answer.stream_description_summary.ok_or_else(|| Failure::passing(format!("cannot {what}: the response has no description")))
    }

    /// Waits until a stream is as it should be.
    async fn until(&self, name: &str, is_so: impl Fn(Option<&StreamDescriptionSummary>) -> bool) -> Result<()> {
        let mut retry = self.retries.retry();
        loop {
            let failure = match self.summary(name).await {
                Ok(stream) if is_so(Some(&stream)) => return Ok(()),
                Err(failure) if failure.kind == Kind::NotFound && is_so(None) => return Ok(()),
                Ok(stream) => Failure::waiting(format!("the stream {name} is {}", stream.stream_status)),
                Err(failure) if failure.kind == Kind::NotFound => Failure::waiting(format!("the stream {name} is not there yet")),
                Err(failure) => failure,
            };
            retry.after(failure).await?;
        }
    }
}

fn on_demand() -> Result<StreamModeDetails> {
    let details = StreamModeDetails::builder().stream_mode(StreamMode::OnDemand).build();
    details.map_err(|error| Error::bug(format!("a mode has no name: {error}")))
}
