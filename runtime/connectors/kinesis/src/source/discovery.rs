//! Polls for new shards in the background: Kinesis may take long to respond, and no reader has to
//! wait for it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use wasmill_engine::{Error, Result};

use super::Shared;
use crate::api::{Api, Shard, Stream};
use crate::codes::STREAM_DELETED;
use crate::failure::{Failure, Kind};
use wasmill_connect::threads;

/// A stream is deleted when this many polls in a row do not find it.
const MISSING_POLLS: u32 = 3;

/// The result of a poll.
pub(super) struct Listed {
    pub(super) stream: Stream,
    pub(super) shards: Vec<Shard>,
}

/// A task that polls the shards periodically, and when a shard has ended.
pub(super) struct ShardDiscovery {
    found: Mutex<Receiver<Result<Listed>>>,
    task: JoinHandle<()>,
}

impl ShardDiscovery {
    /// Starts polling.
    pub(super) fn start(shared: &Arc<Shared>, api: &Arc<Api>) -> Result<Self> {
        let (results, found) = channel();
        let (shared, api) = (Arc::clone(shared), Arc::clone(api));
        let body = async move {
            loop {
                let _ = tokio::time::timeout(shared.follow, shared.wake.notified()).await;
                let result = discover(&api).await;
                let ends = result.is_err();
                if results.send(result).is_err() || ends {
                    return;
                }
            }
        };
        Ok(Self { found: Mutex::new(found), task: threads::handle()?.spawn(body) })
    }

    /// The result of the latest poll, if there was one since the last call.
    pub(super) fn found(&self) -> Result<Option<Listed>> {
        let found = self.found.lock();
        let mut newest = None;
        while let Ok(result) = found.try_recv() {
            newest = Some(result?);
        }
        Ok(newest)
    }
}

impl Drop for ShardDiscovery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Polls once, with retries.
async fn discover(api: &Api) -> Result<Listed> {
    let mut retry = api.retries.retry();
    let mut missing = 0;
    loop {
        match discover_once(api).await {
            Ok(found) => return Ok(found),
            Err(failure) if failure.kind == Kind::NotFound => {
                missing += 1;
                if missing >= MISSING_POLLS {
                    return Err(Error::environment(format!("the stream was deleted while it was read: {}", failure.error))
                        .code(STREAM_DELETED)
                        .hint("take it out of the pipeline, or start over with another `--state` folder once it is created again"));
                }
                retry.after(Failure { kind: Kind::Passing, ..failure }).await?;
            }
            Err(failure) => retry.after(failure).await?,
        }
    }
}

async fn discover_once(api: &Api) -> Result<Listed, Failure> {
    Ok(Listed { stream: api.describe().await?, shards: api.shards().await? })
}
