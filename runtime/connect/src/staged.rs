//! The names of files that await their commit: their owner, their epoch, and which process may
//! remove them.
//!
//! A name ends, before its extension, with `<epoch>-<lane>-<incarnation>-c<claim>-<uuid>`. The UUID
//! gives each file a single writer: two processes that write the same epoch never touch each
//! other's files.

use std::collections::HashMap;
use std::fmt;

use parking_lot::Mutex;
use uuid::Uuid;
use wasmill_engine::{EpochId, Token, WriterContext};

/// What a staged file's name encodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagedMark {
    incarnation: Uuid,
    /// The epoch that its writer's process had claimed; none where it is unknown.
    claim: Option<u64>,
    epoch: u64,
    lane: usize,
    unique: Uuid,
}

impl StagedMark {
    /// The mark of a new file of a lane.
    pub fn new(context: &WriterContext, claim: Option<u64>) -> Self {
        let WriterContext { incarnation, epoch, lane, .. } = context;
        Self { incarnation: *incarnation, claim, epoch: *epoch, lane: *lane, unique: Uuid::new_v4() }
    }

    /// The mark of a file that exists only during a commit.
    pub fn of_commit(token: &Token) -> Self {
        Self { incarnation: token.incarnation, claim: None, epoch: token.epoch, lane: 0, unique: Uuid::new_v4() }
    }

    /// Reads it from a file's name.
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name.split('.').next()?;
        let mut parts = stem.rsplitn(6, '-');
        let (unique, claim, incarnation) = (parts.next()?, parts.next()?.strip_prefix('c')?, parts.next()?);
        let (lane, epoch) = (parts.next()?, parts.next()?);
        let claim = if claim.is_empty() { None } else { Some(number(claim)?) };
        Some(Self { incarnation: uuid(incarnation)?, claim, epoch: number(epoch)?, lane: number(lane)?, unique: uuid(unique)? })
    }

    /// The part of the name that a file keeps once it is visible.
    pub fn visible(&self) -> String {
        format!("{:010}-{}-{}", self.epoch, self.lane, self.unique.simple())
    }

    /// Whether no process can commit it any more, and the process of this claim may remove it.
    ///
    /// A process that takes over claims a later epoch and writes epochs after its claim. So a file
    /// belongs to a fenced process if its epoch is not after the claim. So does one that was
    /// written under an earlier claim, because lanes are ahead of the epoch that is being
    /// committed.
    pub fn is_left_over(&self, claim: &Token) -> bool {
        self.incarnation == claim.incarnation && (self.epoch <= claim.epoch || self.claim.is_some_and(|under| under < claim.epoch))
    }
}

impl fmt::Display for StagedMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, claim, epoch, lane, unique } = self;
        let claim = claim.map(|claim| claim.to_string()).unwrap_or_default();
        write!(f, "{epoch:010}-{lane}-{}-c{claim}-{}", incarnation.simple(), unique.simple())
    }
}

/// The text of a UUID without dashes.
fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 32).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// A number in digits alone.
pub fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The epochs that this process has claimed, by sink.
#[derive(Debug, Default)]
pub struct Claims(Mutex<HashMap<PipelineSink, EpochId>>);

/// A sink of a pipeline.
#[derive(Debug, PartialEq, Eq, Hash)]
struct PipelineSink {
    pipeline: String,
    sink: String,
}

impl Claims {
    /// Remembers a claim.
    pub fn set(&self, claim: &Token) {
        let mut claims = self.0.lock();
        let Token { pipeline, sink, incarnation, epoch, .. } = claim.clone();
        claims.insert(PipelineSink { pipeline, sink }, EpochId { incarnation, epoch });
    }

    /// The claim under which a writer writes; none if this process has claimed none.
    pub fn of(&self, context: &WriterContext) -> Option<u64> {
        let claims = self.0.lock();
        let claim = claims.get(&PipelineSink { pipeline: context.pipeline.clone(), sink: context.sink.clone() })?;
        (claim.incarnation == context.incarnation).then_some(claim.epoch)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::Schema;

    use super::*;

    const LIFE: Uuid = Uuid::from_u128(0xf000_0000_0000_0000_8000_0000_0000_0001);

    fn context(epoch: u64) -> WriterContext {
        WriterContext { pipeline: "p".into(), sink: "s".into(), incarnation: LIFE, epoch, lane: 3, schema: Arc::new(Schema::empty()) }
    }

    fn claim(epoch: u64) -> Token {
        Token { pipeline: "p".into(), sink: "s".into(), incarnation: LIFE, epoch, previous: 0 }
    }

    #[test]
    fn a_name_shows_its_owner() {
        let claims = Claims::default();
        assert_eq!(claims.of(&context(7)), None);
        claims.set(&claim(6));
        for under in [None, claims.of(&context(7))] {
            let mark = StagedMark::new(&context(7), under);
            for name in [format!("part-{mark}.parquet"), format!("a-b-c-{mark}.jsonl.gz"), mark.to_string()] {
                assert_eq!(StagedMark::parse(&name), Some(mark), "{name}");
            }
        }
        assert_eq!(claims.of(&WriterContext { incarnation: Uuid::nil(), ..context(7) }), None);
        let old = "part-0000000002-0-6dd9fd0e-5ad7-4bd4-a5a0-1e8bf4ec8ec5.parquet";
        for name in [old, "s-0000000002-0-0-0123abcd.jsonl", "x", "", ".", "------", "a-c-c-c-c-c-c"] {
            assert_eq!(StagedMark::parse(name), None, "{name}");
        }
    }

    #[test]
    fn only_what_can_not_be_committed_any_more_is_left_over() {
        let left = |epoch: u64, under: Option<u64>| StagedMark::new(&context(epoch), under).is_left_over(&claim(6));
        assert!(left(5, None) && left(6, None) && left(6, Some(5)));
        assert!(left(7, Some(5)), "a lane that was ahead when its process ended");
        assert!(!left(7, None) && !left(7, Some(6)) && !left(8, Some(7)), "this process's own, or a successor's");
        let other = WriterContext { incarnation: Uuid::nil(), ..context(1) };
        assert!(!StagedMark::new(&other, None).is_left_over(&claim(6)), "of another life");
    }
}
