//! Which small files of a table become one.

use std::collections::BTreeMap;

use crate::rows::TableFile;
use wasmill_lake::Key;

/// Files of one partition whose rows go into one file.
#[derive(Debug)]
pub(super) struct Bin {
    pub(super) key: Key,
    pub(super) files: Vec<TableFile>,
}

/// A file from the plan's point of view.
struct Small {
    file: TableFile,
    size: u64,
}

/// Bins files that are smaller than three quarters of the target, in the order in which they were
/// written, so that a new file has about the target's size. Files with deleted rows stay as they
/// are.
pub(super) fn bins(files: Vec<TableFile>, partition_by: &[String], target_bytes: u64) -> Vec<Bin> {
    let mut partitions: BTreeMap<Key, Vec<Small>> = BTreeMap::new();
    for file in files {
        let size = file.size();
        if size < target_bytes / 4 * 3 && !file.has_deletions() {
            // An empty text is null to a Delta table.
            let value = |column: &String| file.partition_values().get(column).filter(|value| !value.is_empty()).cloned();
            let key: Key = partition_by.iter().map(value).collect();
            partitions.entry(key).or_default().push(Small { file, size });
        }
    }
    let mut bins = Vec::new();
    for (key, mut small) in partitions {
        small.sort_by(|a, b| (a.file.modified(), a.file.path()).cmp(&(b.file.modified(), b.file.path())));
        let mut sizes = small.iter().map(|small| small.size).collect::<Vec<_>>().into_iter();
        let mut small = small.into_iter().map(|small| small.file);
        for count in counts(&mut sizes, target_bytes) {
            let files: Vec<TableFile> = small.by_ref().take(count).collect();
            if files.len() > 1 {
                bins.push(Bin { key: key.clone(), files });
            }
        }
    }
    bins
}

/// How many files go into each bin.
fn counts(sizes: &mut dyn Iterator<Item = u64>, target_bytes: u64) -> Vec<usize> {
    let (mut counts, mut filled) = (Vec::new(), 0);
    for size in sizes {
        match counts.last_mut() {
            Some(count) if filled + size <= target_bytes => {
                *count += 1;
                filled += size;
            }
            _ => {
                counts.push(1);
                filled = size;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_filled_in_order_and_not_beyond_the_target() {
        let counted = |sizes: &[u64]| counts(&mut sizes.iter().copied(), 100);
        assert_eq!(counted(&[10, 20, 70, 30, 30, 74, 1]), [3, 2, 2]);
        assert_eq!(counted(&[60, 60, 60]), [1, 1, 1]);
        assert_eq!(counted(&[]), [0_usize; 0]);
    }
}
