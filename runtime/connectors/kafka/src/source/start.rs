//! Where a partition begins.

use wasmill_engine::{Error, Result};

use super::Shared;
use crate::codes::{OFFSETS_LOST, START};
use crate::config::{LostOffsets, Start};
use crate::position::Position;

/// What else decides about a start.
pub(super) struct Asked {
    /// It was created after the topic was first read: none of it may be left out.
    pub(super) late: bool,
    /// The offset at the configured time, where there is one.
    pub(super) time: Option<i64>,
    /// The end, as the isolation sees it.
    pub(super) stable: i64,
}

/// The offset at which reading a partition begins.
pub(super) struct StartOffset {
    pub(super) offset: i64,
    /// Whether the next run could find another one.
    pub(super) may_change: bool,
}

/// The offset to begin with, for a partition with the offsets of `range`.
pub(super) fn start(shared: &Shared, id: &str, range: (i64, i64), position: Option<&Position>, asked: &Asked) -> Result<StartOffset> {
    let fixed = |offset| Ok(StartOffset { offset, may_change: false });
    let moving = |offset| Ok(StartOffset { offset, may_change: true });
    if let Some(position) = position {
        return resume(shared.config.on_lost_offsets, position.offset, range)
            .map(|offset| StartOffset { offset, may_change: offset != position.offset });
    }
    match &shared.config.start {
        _ if asked.late => fixed(range.0),
        Start::Earliest => fixed(range.0),
        Start::Latest => moving(asked.stable),
        Start::Timestamp(_) => moving(asked.time.unwrap_or(asked.stable)),
        Start::Offsets(offsets) => match offsets.get(id) {
            None => fixed(range.0),
            Some(offset) if (range.0..=range.1).contains(offset) => fixed(*offset),
            Some(offset) => Err(Error::environment(format!(
                "`start` has the offset {offset}, and the partition has those from {} to {}",
                range.0, range.1
            ))
            .code(START)
            .hint("records that were removed can't be read; choose an offset that is there")),
        },
    }
}

/// Where to resume after a checkpoint, if its offset no longer exists.
pub(super) fn resume(policy: LostOffsets, offset: i64, (begin, end): (i64, i64)) -> Result<i64> {
    if (begin..=end).contains(&offset) {
        return Ok(offset);
    }
    let what = match offset < begin {
        true => format!("the records from offset {offset} to {} were removed before they were read (retention)", begin - 1),
        false => format!("the checkpoint is at offset {offset}, and the partition ends at {end}: it has lost records that were read"),
    };
    let go_on = match policy {
        LostOffsets::Stop => {
            return Err(Error::environment(what)
                .code(OFFSETS_LOST)
                .hint("`on_lost_offsets: earliest` (or `latest`) resumes without them; nothing else can bring them back"));
        }
        LostOffsets::Earliest => begin,
        LostOffsets::Latest => end,
    };
    tracing::warn!("{what}; resuming at offset {go_on}, by `on_lost_offsets`");
    Ok(go_on)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_have_gone_stop_the_run_unless_the_file_says_otherwise() {
        assert_eq!(resume(LostOffsets::Stop, 5, (5, 9)).unwrap(), 5);
        assert_eq!(resume(LostOffsets::Stop, 9, (5, 9)).unwrap(), 9);
        assert!(resume(LostOffsets::Stop, 4, (5, 9)).unwrap_err().to_string().contains("offset 4 to 4"));
        assert!(resume(LostOffsets::Stop, 10, (5, 9)).unwrap_err().to_string().contains("ends at 9"));
        assert_eq!(resume(LostOffsets::Earliest, 4, (5, 9)).unwrap(), 5);
        assert_eq!(resume(LostOffsets::Latest, 4, (5, 9)).unwrap(), 9);
    }
}
