//! Polls a shard for records.

use std::time::Duration;

use tokio::time::Instant;
use wasmill_engine::Result;

use super::cursor::Verdict;
use super::feed::Task;
use crate::failure::Kind;

/// The target size of a response.
const ANSWER_BYTES: usize = 1 << 20;
/// The most records per request.
const MAX_RECORDS: usize = 10_000;

/// Polls one shard.
pub(super) struct Poller {
    task: Task,
    iterator: Option<String>,
    /// When the shard may be polled next.
    next: Instant,
    /// The mean size of its records.
    mean_record: usize,
}

impl Poller {
    pub(super) fn new(task: Task) -> Self {
        Self { task, iterator: None, next: Instant::now(), mean_record: 1 << 10 }
    }

    /// Reads to the end of the shard.
    pub(super) async fn run(mut self) -> Result<()> {
        let shared = std::sync::Arc::clone(&self.task.shared);
        let api = std::sync::Arc::clone(&self.task.api);
        let mut retry = api.retries.retry();
        loop {
            if self.task.cursor.is_overtaken(self.task.now()) {
                self.iterator = None;
            }
            let iterator = match self.iterator.take() {
                Some(iterator) => iterator,
                None => {
                    let beginning = self.task.cursor.begin();
                    match api.iterator(&self.task.shard, beginning).await {
                        Ok(iterator) => iterator,
                        Err(failure) => {
                            retry.after(failure).await?;
                            continue;
                        }
                    }
                }
            };
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + shared.poll;
            let room = self.task.room().await;
            let asked = api.clock.now();
            let limit = (ANSWER_BYTES / self.mean_record).clamp(1, MAX_RECORDS);
            let answer = match api.records(&self.task.shard, &iterator, i32::try_from(limit).unwrap_or(i32::MAX)).await {
                Ok(answer) => answer,
                // It has expired: request one from the present position. That is transient as well,
                // and must not be retried forever.
                Err(mut failure) => {
                    drop(room);
                    if failure.kind == Kind::Expired {
                        failure.kind = Kind::Passing;
                    } else {
                        self.iterator = Some(iterator);
                    }
                    retry.after(failure).await?;
                    continue;
                }
            };
            retry.worked();
            let mut records = answer.records;
            self.measure(&records);
            let behind = answer.millis_behind_latest.unwrap_or(if records.is_empty() { 0 } else { 1 });
            if self.task.cursor.take(&mut records, behind, asked, self.task.now())? == Verdict::Again {
                continue;
            }
            self.iterator = answer.next_shard_iterator;
            let is_empty = records.is_empty();
            if !self.task.send(records, behind, room).await || self.iterator.is_none() {
                return Ok(());
            }
            // Nothing for a while: the next poll need not be as soon as that.
            if is_empty && behind <= 0 {
                self.next = self.next.max(Instant::now() + shared.poll.min(Duration::from_secs(1)));
            }
        }
    }

    fn measure(&mut self, records: &[aws_sdk_kinesis::types::Record]) {
        let bytes: usize = records.iter().map(|record| record.data.as_ref().len()).sum();
        if let Some(mean) = bytes.checked_div(records.len()) {
            self.mean_record = mean.max(64);
        }
    }
}
