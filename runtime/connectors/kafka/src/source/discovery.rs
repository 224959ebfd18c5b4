//! Polls for new topics and partitions in the background: the brokers may take long to respond, and
//! no reader has to wait for them.

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

/// A topic is deleted when this many polls in a row do not find it: restarting brokers know less
/// for a moment.
const MISSING_POLLS: u32 = 3;

/// A thread that polls the cluster's topics.
pub(super) struct TopicDiscovery {
    found: Mutex<Receiver<Result<BTreeMap<String, Topic>>>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TopicDiscovery {
    /// Polls at the interval `every`; no response for `patience` is an error.
    pub(super) fn start(cluster: &Arc<Cluster>, known: &BTreeMap<String, Topic>, every: Duration, patience: Duration) -> Result<Self> {
        let (results, found) = channel();
        let (stop, stopped) = channel();
        let cluster = Arc::clone(cluster);
        let mut missing: BTreeMap<String, u32> = known.keys().map(|name| (name.clone(), 0)).collect();
        let body = move || {
            let mut answered = Instant::now();
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let listed = cluster.topics();
                let result = match listed {
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
        let thread = std::thread::Builder::new().name("kafka-discovery".to_owned()).spawn(body);
        let thread = thread.map_err(|error| Error::io("start a thread that polls for partitions", error).or_code(THREADS))?;
        Ok(Self { found: Mutex::new(found), stop: Some(stop), thread: Some(thread) })
    }

    /// The result of the latest poll, if there was one since the last call.
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
    for (name, polls) in missing.iter_mut().filter(|(name, _)| !found.contains_key(*name)) {
        *polls += 1;
        if *polls >= MISSING_POLLS {
            return Err(Error::environment(format!("the topic {name} was deleted while it was read"))
                .code(TOPIC_DELETED)
                .hint("take it out of the pipeline, or start over with another `--state` folder once it is created again"));
        }
    }
    Ok(())
}

impl Drop for TopicDiscovery {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
