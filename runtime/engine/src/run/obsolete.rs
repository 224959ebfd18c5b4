//! Files of the depot that no later checkpoint names: they are removed when no checkpoint that is kept names them, either.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::Depot;

/// The number of checkpoints that are kept.
const KEPT_CHECKPOINTS: u64 = 3;

/// Files to be removed, in the order of the checkpoints that named them last.
pub(crate) struct ObsoleteFiles {
    depot: Arc<dyn Depot>,
    /// What they hold, for people: `lists of splits`.
    content: &'static str,
    waiting: VecDeque<Obsolete>,
}

struct Obsolete {
    /// No checkpoint behind this epoch names them.
    named_until: u64,
    names: Vec<String>,
}

impl ObsoleteFiles {
    pub fn new(depot: Arc<dyn Depot>, content: &'static str) -> Self {
        Self { depot, content, waiting: VecDeque::new() }
    }

    /// Adds files that no checkpoint behind the epoch names.
    pub fn add(&mut self, named_until: u64, names: Vec<String>) {
        if !names.is_empty() {
            self.waiting.push_back(Obsolete { named_until, names });
        }
    }

    /// An epoch's checkpoint has been put. Best effort: a file that stays does no harm.
    pub fn noted(&mut self, epoch: u64) {
        while self.waiting.front().is_some_and(|files| files.named_until + KEPT_CHECKPOINTS <= epoch) {
            let Some(Obsolete { names, .. }) = self.waiting.pop_front() else { return };
            if let Err(error) = self.depot.remove(&names) {
                tracing::warn!(%error, "{} that no checkpoint needs any more could not be removed", self.content);
            }
        }
    }
}
