//! Where a partition begins.

use wasmill_engine::{Error, Result};

use super::Shared;
use crate::codes::{OFFSETS_LOST, START};
use crate::config::{LostOffsets, Start};
use crate::position::Position;

/// What else decides about a start.
pub(super) struct Asked {
    /// It was made after the topic was first read: nothing of it may be left out.
    pub(super) late: bool,
    /// The offset at the time that was asked for, where there is one.
    pub(super) time: Option<i64>,
    /// The end, as the isolation sees it.
    pub(super) stable: i64,
}

/// The offset to begin with, for a partition that has the offsets of `range`; and whether the next run could find another one.
pub(super) fn start(shared: &Shared, id: &str, range: (i64, i64), position: Option<&Position>, asked: &Asked) -> Result<(i64, bool)> {
    if let Some(position) = position {
        return resume(shared.config.on_lost_offsets, position.offset, range).map(|offset| (offset, offset != position.offset));
    }
    match &shared.config.start {
        _ if asked.late => Ok((range.0, false)),
        Start::Earliest => Ok((range.0, false)),
        Start::Latest => Ok((asked.stable, true)),
        Start::Timestamp(_) => Ok((asked.time.unwrap_or(asked.stable), true)),
        Start::Offsets(offsets) => match offsets.get(id) {
            None => Ok((range.0, false)),
            Some(offset) if (range.0..=range.1).contains(offset) => Ok((*offset, false)),
            Some(offset) => Err(Error::environment(format!(
                "`start` asks for the offset {offset}, and there are those from {} to {}",
                range.0, range.1
            ))
            .code(START)
            .hint("records that were removed can't be read; choose an offset that is there")),
        },
    }
}

/// Where to go on behind a checkpoint, if its offset is there no more.
pub(super) fn resume(policy: LostOffsets, offset: i64, (begin, end): (i64, i64)) -> Result<i64> {
    if (begin..=end).contains(&offset) {
        return Ok(offset);
    }
    let what = match offset < begin {
        true => format!("the records from offset {offset} to {} were removed before they were read (retention)", begin - 1),
        false => format!("the checkpoint stands at offset {offset}, and the partition ends at {end}: it has lost records that were read"),
    };
    let go_on = match policy {
        LostOffsets::Stop => {
            return Err(Error::environment(what)
                .code(OFFSETS_LOST)
                .hint("`on_lost_offsets: earliest` (or `latest`) goes on without them; nothing else can bring them back"));
        }
        LostOffsets::Earliest => begin,
        LostOffsets::Latest => end,
    };
    tracing::warn!("{what}; goes on at offset {go_on}, as `on_lost_offsets` says");
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
