//! Sources with another name than when the state was written. Taken for new ones, they would be
//! read from their beginning again.

use super::shape::Shape;
use crate::codes::STATE_SOURCE_RENAMED;
use crate::{Checkpoint, Error, Result};

/// Fails if the checkpoint has progress of a source that the pipeline lacks, and the pipeline has a
/// source that the checkpoint lacks. Only the user can distinguish a renamed source from a new one.
/// A source that was only added or only removed is fine.
pub(super) fn check_sources(shape: &Shape, checkpoint: &Checkpoint) -> Result<()> {
    if shape.epoch.whole_run {
        // Everything is read again regardless of the state.
        return Ok(());
    }
    let is_present = |name: &str| shape.sources.iter().any(|source| *source.name == *name);
    let gone: Vec<&str> = checkpoint.sources.iter().filter(|(_, progress)| !progress.is_empty()).map(|(name, _)| name.as_str()).collect();
    let gone: Vec<&str> = gone.into_iter().filter(|name| !is_present(name)).collect();
    let new: Vec<&str> = shape.sources.iter().map(|source| &*source.name).filter(|name| !checkpoint.sources.contains_key(*name)).collect();
    let (Some(first_gone), Some(first_new)) = (gone.first(), new.first()) else { return Ok(()) };
    Err(Error::environment(format!(
        "the state holds progress of {}, which the pipeline does not have, and has none of {}",
        named(&gone),
        named(&new)
    ))
    .code(STATE_SOURCE_RENAMED)
    .hint(format!(
        "a renamed source would be read from its beginning again, and its rows written twice. If it was renamed: \
            `wasmill state rename-source PIPELINE {first_gone} {first_new}`. If `{first_new}` is another source: `wasmill \
            state drop-source PIPELINE {first_gone}` drops the progress of `{first_gone}`"
    )))
}

/// Adds every source of the pipeline to the checkpoint, also those without any splits yet.
pub(super) fn note_sources(shape: &Shape, checkpoint: &mut Checkpoint) {
    for source in &shape.sources {
        checkpoint.sources.entry(source.name.to_string()).or_default();
    }
}

fn named(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{} {}", if names.len() == 1 { "source" } else { "sources" }, quoted.join(", "))
}
