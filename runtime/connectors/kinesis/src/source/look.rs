//! Looks for new shards beside the run: Kinesis may take long to answer, and nobody has to wait for it.

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

/// A stream is gone when so many looks in a row do not find it.
const MISSING_LOOKS: u32 = 3;

/// What a look found.
pub(super) type Found = (Stream, Vec<Shard>);

/// A task that looks from time to time, and when a shard has ended.
pub(super) struct Look {
    found: Mutex<Receiver<Result<Found>>>,
    task: JoinHandle<()>,
}

impl Look {
    /// Begins to look.
    pub(super) fn start(shared: &Arc<Shared>, api: &Arc<Api>) -> Result<Self> {
        let (results, found) = channel();
        let (shared, api) = (Arc::clone(shared), Arc::clone(api));
        let body = async move {
            loop {
                let _ = tokio::time::timeout(shared.follow, shared.wake.notified()).await;
                let result = look(&api).await;
                let ends = result.is_err();
                if results.send(result).is_err() || ends {
                    return;
                }
            }
        };
        Ok(Self { found: Mutex::new(found), task: threads::handle()?.spawn(body) })
    }

    /// What the newest look found, if there was one since the last call.
    pub(super) fn found(&self) -> Result<Option<Found>> {
        let found = self.found.lock();
        let mut newest = None;
        while let Ok(result) = found.try_recv() {
            newest = Some(result?);
        }
        Ok(newest)
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks once; as long as it has to.
async fn look(api: &Api) -> Result<Found> {
    let mut retry = api.troubles.retry();
    let mut missing = 0;
    loop {
        match look_once(api).await {
            Ok(found) => return Ok(found),
            Err(failure) if failure.kind == Kind::NotFound => {
                missing += 1;
                if missing >= MISSING_LOOKS {
                    return Err(Error::environment(format!("the stream was deleted while it was read: {}", failure.error))
                        .code(STREAM_DELETED)
                        .hint("take it out of the pipeline, or begin anew with another `--state` folder once it is made again"));
                }
                retry.after(Failure { kind: Kind::Passing, ..failure }).await?;
            }
            Err(failure) => retry.after(failure).await?,
        }
    }
}

async fn look_once(api: &Api) -> Result<Found, Failure> {
    Ok((api.describe().await?, api.shards().await?))
}
