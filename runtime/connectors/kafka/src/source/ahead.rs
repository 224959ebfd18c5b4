//! Fetches partitions ahead of the lanes: a lane of a batch reads them one after the other, and
//! would wait for the brokers each time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use wasmill_engine::{Result, SplitId};

use crate::client::Client;
use crate::position::parse_split;
use crate::queue::PartitionQueue;

/// At most this many partitions are ahead. Their queues have their share of the memory for all
/// queues of a source.
const MAX_PARTITIONS: usize = 16;

/// What is expected, in order, and what is being fetched already.
#[derive(Default)]
pub(super) struct Ahead(Mutex<State>);

#[derive(Default)]
struct State {
    expected: VecDeque<Expected>,
    begun: HashMap<SplitId, PartitionQueue>,
}

/// A partition that has not been requested yet, and where it will be read from.
pub(super) struct Expected {
    pub(super) id: SplitId,
    pub(super) client: Arc<Client>,
    pub(super) offset: i64,
}

impl Ahead {
    /// Announces partitions that will be requested after those announced before, in this order.
    pub(super) fn expect(&self, partitions: impl IntoIterator<Item = Expected>) {
        let mut state = self.0.lock();
        state.expected.extend(partitions);
        state.begin();
    }

    /// The queue of a partition, which is started now if it was not; others are started in its
    /// place.
    pub(super) fn take(&self, partition: &Expected) -> Result<PartitionQueue> {
        let mut state = self.0.lock();
        let begun = state.begun.remove(&partition.id);
        state.expected.retain(|expected| expected.id != partition.id);
        state.begin();
        drop(state);
        begun.map_or_else(|| open(partition), Ok)
    }
}

impl State {
    fn begin(&mut self) {
        while self.begun.len() < MAX_PARTITIONS {
            // What shares a queue has to be read as soon as it is fetched.
            let Some(next) = self.expected.pop_front_if(|next| !next.client.is_shared()) else { return };
            // Its error is returned to the caller that requests it and retries.
            if let Ok(queue) = open(&next) {
                self.begun.insert(next.id, queue);
            }
        }
    }
}

fn open(partition: &Expected) -> Result<PartitionQueue> {
    let (topic, number) = parse_split(&partition.id).unwrap_or_default();
    PartitionQueue::open(&partition.client, topic, number, partition.offset)
}
