//! What is read ahead of a shard by a task of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_sdk_kinesis::types::Record;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use wasmill_engine::{Error, Result};

use super::Shared;
use super::config::Consumer;
use super::cursor::{Cursor, Now};
use super::poll::Poller;
use super::position::Position;
use super::subscribe::Subscriber;
use crate::api::Api;
use wasmill_connect::threads;

/// How many responses wait for their reader; one more is with the task and one with the reader. A
/// response has about 1 MiB, and at most 10.
const WAITING: usize = 2;
/// Responses with records that all shards of a source have prefetched together. A task waits before
/// it requests one more.
pub(super) const MAX_RESPONSES: usize = 256;

/// What came of a shard.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Records, possibly none.
    Answer {
        records: Vec<Record>,
        /// The lag behind the latest record, milliseconds.
        behind: i64,
        /// Everything that arrived until then has been read with this.
        until: Option<i64>,
        /// Nothing was left to read.
        at_tip: bool,
        /// Its place among [`MAX_RESPONSES`], which is free again when the records have been decoded.
        room: Option<OwnedSemaphorePermit>,
    },
    /// The shard is closed, and this was all of it.
    Closed,
    /// It can't be read.
    Failed(Error),
}

/// Reads ahead until it is dropped.
pub(super) struct Feed {
    fetched: Receiver<Fetched>,
    task: JoinHandle<()>,
}

/// What the task of a shard works with.
pub(super) struct Task {
    pub shared: Arc<Shared>,
    pub api: Arc<Api>,
    pub shard: String,
    pub cursor: Cursor,
    sender: Sender<Fetched>,
}

impl Feed {
    /// Begins at a position.
    pub(super) fn start(shared: &Arc<Shared>, api: &Arc<Api>, shard: &str, position: &Position) -> Result<Self> {
        let (sender, fetched) = channel(WAITING);
        let cursor = Cursor::new(shard, position.at.clone(), position.until, shared.config.on_lost_records);
        let task = Task { shared: Arc::clone(shared), api: Arc::clone(api), shard: shard.to_owned(), cursor, sender };
        let run = async move {
            let (sender, place) = (task.sender.clone(), format!("shard {}", task.shard));
            let ended = match &task.shared.config.consumer {
                Consumer::Polling => Poller::new(task).run().await,
                Consumer::FanOut(fan_out) => {
                    let name = fan_out.name.clone();
                    Subscriber::new(task, name).run().await
                }
            };
            let last = match ended {
                Ok(()) => Fetched::Closed,
                Err(error) => Fetched::Failed(error.at(place)),
            };
            // Without a reader the result is not needed.
            let _ = sender.send(last).await;
        };
        Ok(Self { fetched, task: threads::handle()?.spawn(run) })
    }

    /// One that returns what a test sends.
    #[cfg(test)]
    pub(super) fn of(fetched: Receiver<Fetched>) -> Self {
        Self { fetched, task: threads::handle().unwrap().spawn(async {}) }
    }

    /// What has come, if something has.
    pub(super) fn take(&mut self) -> Option<Fetched> {
        match self.fetched.try_recv() {
            Ok(fetched) => Some(fetched),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Fetched::Failed(Error::bug("the task that reads a shard ended without a result"))),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Task {
    pub(super) fn now(&self) -> Now {
        Now { time: self.api.clock.now(), retention: self.shared.retention.load(Ordering::Relaxed) }
    }

    /// Waits for room for one more response.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.shared.room).acquire_owned().await.ok()
    }

    /// Passes a response on; waits while enough others do. Returns false when the reader is gone.
    pub(super) async fn send(&self, records: Vec<Record>, behind: i64, room: Option<OwnedSemaphorePermit>) -> bool {
        let room = room.filter(|_| !records.is_empty());
        let answer = Fetched::Answer { records, behind, until: self.cursor.until(), at_tip: self.cursor.is_at_tip(), room };
        self.sender.send(answer).await.is_ok()
    }
}
