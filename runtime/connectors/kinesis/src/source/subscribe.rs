//! Lets Kinesis push the records of a shard: enhanced fan-out.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::types::{Record, SubscribeToShardEvent, SubscribeToShardEventStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wasmill_engine::Result;

use super::cursor::Verdict;
use super::feed::Task;
use crate::api::Beginning;
use crate::failure::{Failure, judge};

/// A subscription that is silent for this long is dead: a live one reports its position every few
/// seconds.
const SILENCE: Duration = Duration::from_secs(40);
/// The position of an ended subscription may be resumed from for this long. Later the last record
/// must prove that nothing was removed since.
const FRESH: Duration = Duration::from_secs(60);
/// The most records per request.
const MAX_RECORDS: i32 = 1_000;

/// Reads one shard by subscriptions, each of which lasts five minutes at most.
pub(super) struct Subscriber {
    task: Task,
    consumer: String,
    /// The position of the last subscription, and when it ended.
    continuation: Option<(String, Instant)>,
}

/// How a subscription ended.
enum Ended {
    /// With the shard, or with its reader.
    Done,
    /// By itself, or because it must be begun again.
    Subscription,
}

impl Subscriber {
    pub(super) fn new(task: Task, consumer: String) -> Self {
        Self { task, consumer, continuation: None }
    }

    /// Reads to the end of the shard.
    pub(super) async fn run(mut self) -> Result<()> {
        let api = Arc::clone(&self.task.api);
        let arn = self.task.shared.consumer_arn(&api, &self.consumer).await?;
        let mut retry = api.retries.retry();
        loop {
            let begun = Instant::now();
            match self.subscription(&arn).await {
                Ok(Ended::Done) => return Ok(()),
                Ok(Ended::Subscription) => {
                    retry.worked();
                    // Kinesis takes one subscription in five seconds; one that ends at once must not be begun in a loop.
                    if begun.elapsed() < Duration::from_secs(1) {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
                Err(failure) => {
                    // One that gave something for a while was no failure in a series.
                    if begun.elapsed() > SILENCE {
                        retry.worked();
                    }
                    retry.after(failure).await?;
                }
            }
        }
    }

    /// One subscription.
    async fn subscription(&mut self, arn: &str) -> Result<Ended, Failure> {
        let api = Arc::clone(&self.task.api);
        let continued = self.continuation.take().filter(|(_, at)| at.elapsed() < FRESH).map(|(number, _)| number);
        let shard = self.task.shard.clone();
        let asked = api.clock.now();
        let mut subscription = match &continued {
            Some(number) => {
                self.task.cursor.resume();
                api.subscribe(arn, &shard, Beginning::After(number)).await?
            }
            None => api.subscribe(arn, &shard, self.task.cursor.begin()).await?,
        };
        loop {
            let received = tokio::time::timeout(SILENCE, subscription.event_stream.recv()).await;
            let received = received.map_err(|_| Failure::passing(format!("the subscription to the shard {shard} is silent")))?;
            let event = received.map_err(|error| judge(&format!("receive from the shard {shard}"), &error))?;
            match event {
                None => return Ok(Ended::Subscription),
                Some(SubscribeToShardEventStream::SubscribeToShardEvent(event)) => {
                    if let Some(ended) = self.event(event, asked).await? {
                        return Ok(ended);
                    }
                }
                // Of a newer version of the service.
                Some(_) => {}
            }
        }
    }

    async fn event(&mut self, event: SubscribeToShardEvent, asked: i64) -> Result<Option<Ended>, Failure> {
        let SubscribeToShardEvent { mut records, continuation_sequence_number, millis_behind_latest: behind, child_shards, .. } = event;
        let now = self.task.now();
        // An event that reports the latest record is as old as its sending, which was after the
        // subscription began.
        if self.task.cursor.take(&mut records, behind, asked, now)? == Verdict::Again {
            return Ok(Some(Ended::Subscription));
        }
        if records.is_empty() && behind <= 0 && self.task.shared.is_closed(&self.task.shard) {
            return self.confirm_end().await;
        }
        let is_end = continuation_sequence_number.is_empty() || child_shards.is_some_and(|children| !children.is_empty());
        if !is_end {
            self.continuation = Some((continuation_sequence_number, Instant::now()));
        }
        let room = self.room_for(&records).await;
        let has_reader = self.task.send(records, behind, room).await;
        Ok((is_end || !has_reader).then_some(Ended::Done))
    }

    /// Room for a response that has arrived already: without records it takes none.
    async fn room_for(&self, records: &[Record]) -> Option<OwnedSemaphorePermit> {
        if records.is_empty() { None } else { self.task.room().await }
    }

    /// Checks whether this is the end of a closed shard. Kinesis reports it; compatible servers may
    /// not.
    async fn confirm_end(&mut self) -> Result<Option<Ended>, Failure> {
        let api = Arc::clone(&self.task.api);
        let asked = api.clock.now();
        let iterator = api.iterator(&self.task.shard, self.task.cursor.begin()).await?;
        let answer = api.records(&self.task.shard, &iterator, MAX_RECORDS).await?;
        let (mut records, behind) = (answer.records, answer.millis_behind_latest.unwrap_or(1));
        let verdict = self.task.cursor.take(&mut records, behind, asked, self.task.now())?;
        // Whatever came with it was not pushed yet: the next subscription begins after it.
        self.continuation = None;
        if verdict == Verdict::Again {
            return Ok(Some(Ended::Subscription));
        }
        let room = self.room_for(&records).await;
        let has_reader = self.task.send(records, behind, room).await;
        let is_end = answer.next_shard_iterator.is_none();
        Ok(Some(if is_end || !has_reader { Ended::Done } else { Ended::Subscription }))
    }
}
