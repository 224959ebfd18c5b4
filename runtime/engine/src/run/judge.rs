//! Judges the rejects of each epoch against `max_reject_share`.

use std::sync::Arc;

use super::reasons::{Node, Reasons};
use super::shape::Shape;
use crate::codes::TOO_MANY;
use crate::counts::{BREAKER_MIN_ROWS, Breaker, NodeCounts};
use crate::{Class, Error};

/// A breaker per source and stage, and the reasons of the rejects that they have not judged yet.
pub(crate) struct Judge {
    sources: Vec<Breaker>,
    stages: Vec<Breaker>,
    reasons: Reasons,
}

impl Judge {
    pub fn new(shape: &Shape) -> Self {
        Self {
            sources: shape.sources.iter().map(|source| Breaker::new(source.max_reject_share)).collect(),
            stages: shape.stages.iter().map(|node| Breaker::new(node.max_reject_share)).collect(),
            reasons: Reasons::default(),
        }
    }

    /// Adds a lane's rejects of the epoch that is judged next.
    pub fn add(&mut self, reasons: Reasons) {
        self.reasons.merge(reasons);
    }

    /// Judges an epoch. Returns the reason if it is refused. `at_end` marks the last epoch of a
    /// batch.
    pub fn judge(&mut self, shape: &Shape, counts: &NodeCounts, epoch: u64, at_end: bool) -> Option<Error> {
        let sources = self.sources.iter_mut().zip(&counts.sources).zip(&shape.sources);
        let sources =
            sources.map(|((breaker, counts), source)| (breaker, counts, Node::Source(Arc::clone(&source.name)), source.max_reject_share));
        let stages = self.stages.iter_mut().zip(&counts.stages).zip(&shape.stages);
        let stages = stages.map(|((breaker, counts), node)| (breaker, counts, Node::Stage(Arc::clone(&node.name)), node.max_reject_share));
        for (breaker, counts, node, limit) in sources.chain(stages) {
            let judged = breaker.judge(counts, at_end);
            if let Some(share) = judged {
                return Some(refused(&node, share, limit, epoch, &self.reasons));
            }
            if breaker.has_judged_all() {
                self.reasons.forget(&node);
            }
        }
        None
    }
}

fn refused(node: &Node, share: f64, limit: f64, epoch: u64, reasons: &Reasons) -> Error {
    let (kind, name) = match node {
        Node::Source(name) => ("source", name),
        Node::Stage(name) => ("stage", name),
    };
    let message = format!(
        "{:.1} % of its rows were rejected, and max_reject_share allows {:.1} %; epoch {epoch} is not committed",
        share * 100.0,
        limit * 100.0
    );
    let error = Error::new(Class::TooManyRejects, message).code(TOO_MANY).at(format!("{kind} {name}")).hint(format!(
        "check these records first: the input may not be what the {kind} expects; raise max_reject_share if such a \
            share is normal. The dead letters of this epoch are committed; its records are read again by the next run. \
            (Judged from {BREAKER_MIN_ROWS} rows on, and at the end of a batch.)"
    ));
    reasons.describe(node).into_iter().fold(error, Error::detail)
}
