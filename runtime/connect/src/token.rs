//! Decides by a sink's own token what a commit may do: the compare of its compare-and-set.

use wasmill_engine::{Committed, Error, Result, Token};

use crate::codes::FENCED;

/// What a commit may do.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The sink is at the token's `previous`: commit.
    Commit,
    /// The sink is at the token itself: it is done.
    Already,
}

/// Compares a sink's token with a commit's. Anything but the two steps is an error that contains
/// "fenced".
pub fn compare(current: Option<&Committed>, token: &Token) -> Result<Step> {
    let expected = match token.previous {
        0 => "nothing yet".to_owned(),
        epoch => format!("epoch {epoch}"),
    };
    match current {
        None if token.previous == 0 => Ok(Step::Commit),
        None => Err(fenced(token, format!("it should have {expected} of this pipeline, but holds no token of it"))
            .hint("was the sink replaced or restored? `wasmill state adopt` resumes from here, `wasmill state reset` starts over")),
        Some(committed) if committed.incarnation != token.incarnation => Err(fenced(
            token,
            format!("it was last written to by another state of this pipeline ({}, epoch {})", committed.incarnation, committed.epoch),
        )
        .hint("another copy of the pipeline writes here, or its state folder was lost; `wasmill state adopt` takes the sink over")),
        Some(committed) if committed.epoch == token.epoch => Ok(Step::Already),
        Some(committed) if committed.epoch == token.previous => Ok(Step::Commit),
        Some(committed) => Err(fenced(token, format!("it is at epoch {} and should have {expected}", committed.epoch))
            .hint("another process of this pipeline has advanced it; this one must stop")),
    }
}

fn fenced(token: &Token, why: String) -> Error {
    Error::environment(format!("fenced: epoch {} of pipeline `{}` can't be committed into this sink: {why}", token.epoch, token.pipeline))
        .code(FENCED)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn token(previous: u64, epoch: u64) -> Token {
        Token { pipeline: "p".into(), sink: "s".into(), incarnation: Uuid::from_u128(1), epoch, previous }
    }

    fn at(incarnation: u128, epoch: u64) -> Committed {
        Committed { incarnation: Uuid::from_u128(incarnation), epoch }
    }

    #[test]
    fn a_sink_moves_from_the_previous_epoch_only() {
        assert_eq!(compare(None, &token(0, 3)).unwrap(), Step::Commit);
        assert_eq!(compare(Some(&at(1, 2)), &token(2, 3)).unwrap(), Step::Commit);
        assert_eq!(compare(Some(&at(1, 0)), &token(0, 3)).unwrap(), Step::Commit);
        assert_eq!(compare(Some(&at(1, 3)), &token(2, 3)).unwrap(), Step::Already);
        for (current, token) in [
            (None, token(2, 3)),
            (Some(at(1, 1)), token(2, 3)),
            (Some(at(1, 4)), token(2, 3)),
            (Some(at(1, 2)), token(0, 3)),
            (Some(at(2, 2)), token(2, 3)),
            (Some(at(2, 3)), token(2, 3)),
            (Some(at(2, 0)), token(0, 3)),
        ] {
            let error = compare(current.as_ref(), &token).unwrap_err();
            assert!(error.message().starts_with("fenced: "), "{error}");
            assert_eq!(error.class(), wasmill_engine::Class::Environment);
        }
    }
}
