//! Looks for new topics and partitions beside the run: the brokers may take long to answer, and nobody has to wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmill_engine::codes::THREADS;
use wasmill_engine::{Error, Result};

use crate::cluster::{Cluster, Topic};
use crate::codes::TOPIC_DELETED;

/// A topic is gone when so many looks in a row do not find it: brokers that start know less for a moment.
const MISSING_LOOKS: u32 = 3;

/// A thread that looks from time to time.
pub(super) struct Look {
    found: Mutex<Receiver<Result<BTreeMap<String, Topic>>>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Look {
    /// Looks every `every`; when nobody has answered for `patience`, that is an error.
    pub(super) fn start(cluster: &Arc<Cluster>, known: &BTreeMap<String, Topic>, every: Duration, patience: Duration) -> Result<Self> {
        let (results, found) = channel();
        let (stop, stopped) = channel();
        let cluster = Arc::clone(cluster);
        let mut missing: BTreeMap<String, u32> = known.keys().map(|name| (name.clone(), 0)).collect();
        let body = move || {
            let mut answered = Instant::now();
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let looked = cluster.topics();
                let result = match looked {
                    Ok(found) => {
                        answered = Instant::now();
                        count_missing(&mut missing, &found).map(|()| found)
                    }
                    Err(_) if answered.elapsed() < patience => continue,
                    Err(error) => Err(error),
                };
                let ends = result.is_err();
                if results.send(result).is_err() || ends {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("kafka-look".to_owned()).spawn(body);
        let thread = thread.map_err(|error| Error::io("start a thread that looks for partitions", error).or_code(THREADS))?;
        Ok(Self { found: Mutex::new(found), stop: Some(stop), thread: Some(thread) })
    }

    /// What the newest look found, if there was one since the last call.
    pub(super) fn found(&self) -> Result<Option<BTreeMap<String, Topic>>> {
        let found = self.found.lock();
        let mut newest = None;
        while let Ok(result) = found.try_recv() {
            newest = Some(result?);
        }
        Ok(newest)
    }
}

/// Notes which topics were there once and are not found now.
fn count_missing(missing: &mut BTreeMap<String, u32>, found: &BTreeMap<String, Topic>) -> Result<()> {
    for name in found.keys() {
        missing.insert(name.clone(), 0);
    }
    for (name, looks) in missing.iter_mut().filter(|(name, _)| !found.contains_key(*name)) {
        *looks += 1;
        if *looks >= MISSING_LOOKS {
            return Err(Error::environment(format!("the topic {name} was deleted while it was read"))
                .code(TOPIC_DELETED)
                .hint("take it out of the pipeline, or start over with another `--state` folder once it is created again"));
        }
    }
    Ok(())
}

impl Drop for Look {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
