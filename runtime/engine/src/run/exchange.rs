//! The exchange: at the end of an epoch every lane hands what it has sealed to every lane, stage by stage.
//!
//! A lane sends before it receives, never waits to send, and closes every epoch; so no lane waits for one that waits for it.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::board::Board;
use super::clock::LaneClock;
use crate::keyed::Sealed;

/// How long a lane waits before it looks whether the run was aborted.
const TICK: Duration = Duration::from_millis(20);

/// Where in a run something is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meeting {
    pub epoch: u64,
    /// The index of the keyed stage.
    pub stage: usize,
}

/// What one lane hands over.
#[derive(Clone)]
pub(crate) struct Handover {
    pub lane: usize,
    pub at: Meeting,
    pub sealed: Sealed,
    pub clock: LaneClock,
}

/// One lane's end of the exchange.
pub(crate) struct Exchange {
    to: Vec<Sender<Handover>>,
    from: Receiver<Handover>,
    /// Of lanes that are at a later meeting already.
    early: Vec<Handover>,
}

impl Exchange {
    /// The ends of all lanes.
    pub fn of_lanes(lanes: usize) -> Vec<Self> {
        let (to, from): (Vec<_>, Vec<_>) = (0..lanes).map(|_| unbounded()).unzip();
        from.into_iter().map(|from| Self { to: to.clone(), from, early: Vec::new() }).collect()
    }

    /// Hands over to all lanes and waits for theirs, in the order of lanes. `None`: the run was aborted.
    pub fn meet(&mut self, mine: Handover, board: &Board) -> Option<Vec<Handover>> {
        let at = mine.at;
        // A lane that is gone has failed, and the run is being aborted.
        self.to.iter().for_each(|lane| drop(lane.send(mine.clone())));
        let mut met: Vec<Handover> = self.early.extract_if(.., |early| early.at == at).collect();
        while met.len() < self.to.len() {
            match self.from.recv_timeout(TICK) {
                Ok(handover) if handover.at == at => met.push(handover),
                Ok(handover) => self.early.push(handover),
                Err(RecvTimeoutError::Timeout) if !board.is_aborted() => {}
                Err(_) => return None,
            }
        }
        met.sort_by_key(|handover| handover.lane);
        Some(met)
    }
}
