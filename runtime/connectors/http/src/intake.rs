//! The logs of the sources at one address, as a destination of requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use wasmill_gateway::{Described, Destination, Partition, Placed, Record, Refusal, RefusalKind, RequestKey};

use crate::log::Log;

/// The one shard of a log.
const SHARD: &str = "shardId-000000000000";

/// Logs by the names that producers post to.
#[derive(Default)]
pub(crate) struct Intake(RwLock<BTreeMap<String, Arc<Log>>>);

impl Intake {
    /// Adds a log under names. Returns the name that another one has already.
    pub(crate) fn add(&self, names: &[String], log: &Arc<Log>) -> Result<(), String> {
        let mut logs = self.0.write();
        if let Some(taken) = names.iter().find(|name| logs.contains_key(*name)) {
            return Err(taken.clone());
        }
        logs.extend(names.iter().map(|name| (name.clone(), Arc::clone(log))));
        Ok(())
    }

    /// Removes names.
    pub(crate) fn remove(&self, names: &[String]) {
        let mut logs = self.0.write();
        names.iter().for_each(|name| drop(logs.remove(name)));
    }

    /// Whether there are names besides these.
    pub(crate) fn has_others(&self, names: &[String]) -> bool {
        self.0.read().keys().any(|name| !names.contains(name))
    }

    fn log(&self, name: &str) -> Result<Arc<Log>, Refusal> {
        self.0.read().get(name).cloned().ok_or_else(|| Refusal::no_topic(name))
    }
}

#[async_trait]
impl Destination for Intake {
    fn kind(&self) -> &'static str {
        "pipeline"
    }

    async fn names(&self) -> Result<Vec<String>, Refusal> {
        Ok(self.0.read().keys().cloned().collect())
    }

    async fn describe(&self, name: &str) -> Result<Described, Refusal> {
        self.log(name)?;
        let partition = Partition {
            shard: SHARD.to_owned(),
            leader: Some(0),
            replicas: vec![(0, true)],
            hash_keys: (0, u128::MAX),
            ..Partition::default()
        };
        Ok(Described { name: name.to_owned(), partitions: vec![partition], status: "ACTIVE".to_owned(), ..Described::default() })
    }

    async fn put(&self, name: &str, records: Vec<Record>, key: Option<RequestKey>) -> Result<Vec<Result<Placed, Refusal>>, Refusal> {
        let log = self.log(name)?;
        if records.iter().any(|record| record.partition.is_some_and(|partition| partition != 0)) {
            return Err(Refusal::new(RefusalKind::NoPartition, format!("{name} has one partition, 0")));
        }
        let taken = log.take(name, &records, key)?;
        drop(records);
        log.durable(taken).await?;
        let placed = |offset: u64| Placed {
            partition: 0,
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            shard: SHARD.to_owned(),
            sequence: offset.to_string(),
        };
        Ok((taken.first..taken.first + u64::from(taken.count)).map(|offset| Ok(placed(offset))).collect())
    }
}
