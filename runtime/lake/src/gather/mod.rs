//! Gathers rows of many partitions into files until a partition's rows are worth a file, within a
//! memory bound.
//!
//! A partition has one file per epoch and lane, and a further one only when the previous file has
//! its target size. The first few partitions of an epoch are written straight to their files. Rows
//! of others wait in memory. When memory is full, large partitions get files and the rows of the
//! rest go to one temporary file on the disk. Each partition's rows are read back from it when the
//! epoch ends.

mod spill;

use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;
use wasmill_engine::{Error, Result};

use self::spill::{Segment, Spill};

/// The bytes of rows that one lane gathers for one sink.
const MAX_GATHERED_BYTES: usize = 48 << 20;
/// The partitions of an epoch whose files are opened with their first row.
const OPEN_AT_ONCE: usize = 8;
/// The bytes of rows with which a partition gets a file before the epoch's end.
const WORTH_A_FILE_BYTES: usize = 1 << 20;
/// The rows that are written to a file at once: the target size is checked after each lot.
const LOT_ROWS: usize = 8192;

/// The files that the rows of partitions go to.
pub trait PartitionFiles<K> {
    /// Whether the file of a partition is open.
    fn is_open(&self, key: &K) -> bool;

    /// The number of open files.
    fn open_files(&self) -> usize;

    /// Writes rows to the file of a partition. Opens it first where it is not, and ends it once it has its target size.
    fn write(&mut self, key: &K, records: &RecordBatch) -> Result<()>;

    /// Ends the file of a partition, if it is open.
    fn finish(&mut self, key: &K) -> Result<()>;
}

/// The rows of one lane that wait for their files.
pub struct Gather<K> {
    max_bytes: usize,
    max_open_files: usize,
    /// Where the temporary file lies; none for the system's own place.
    folder: Option<PathBuf>,
    /// Batches of which rows wait.
    batches: Vec<RecordBatch>,
    bytes: usize,
    waiting: HashMap<K, Waiting>,
    spill: Option<Spill>,
}

/// The rows of one partition that wait: first those on the disk, then those in memory.
#[derive(Default)]
struct Waiting {
    spilled: Vec<Segment>,
    runs: Vec<Run>,
    /// About how many bytes they have in memory.
    bytes: usize,
}

/// Neighbouring rows of a batch.
struct Run {
    batch: u32,
    first: u32,
    rows: u32,
}

impl<K: Clone + Ord + Hash> Gather<K> {
    /// An empty gatherer. At most this many files are opened before the epoch's end; `folder` is
    /// where rows go that do not fit into memory.
    pub fn new(max_open_files: usize, folder: Option<PathBuf>) -> Self {
        let (batches, waiting) = (Vec::new(), HashMap::new());
        Self { max_bytes: MAX_GATHERED_BYTES, max_open_files, folder, batches, bytes: 0, waiting, spill: None }
    }

    /// Takes the rows of a batch, of which each partition's lie together.
    pub fn write(&mut self, records: RecordBatch, partitions: Vec<(K, Range<usize>)>, files: &mut impl PartitionFiles<K>) -> Result<()> {
        let (bytes, rows) = (records.get_array_memory_size(), records.num_rows().max(1));
        let batch = self.batches.len() as u32;
        let mut waits = false;
        for (key, range) in partitions {
            let straight = files.is_open(&key) || files.open_files() < OPEN_AT_ONCE.min(self.max_open_files);
            if straight && !self.waiting.contains_key(&key) {
                files.write(&key, &records.slice(range.start, range.len()))?;
                continue;
            }
            let waiting = self.waiting.entry(key).or_default();
            waiting.runs.push(Run { batch, first: range.start as u32, rows: range.len() as u32 });
            waiting.bytes += bytes / rows * range.len();
            waits = true;
        }
        if waits {
            self.batches.push(records);
            self.bytes += bytes;
        }
        if self.bytes > self.max_bytes { self.relieve(files) } else { Ok(()) }
    }

    /// Writes everything that waits, and ends the files of the partitions that waited.
    pub fn finish(&mut self, files: &mut impl PartitionFiles<K>) -> Result<()> {
        let mut keys: Vec<K> = self.waiting.keys().cloned().collect();
        keys.sort();
        for key in keys {
            self.drain(&key, files)?;
            files.finish(&key)?;
        }
        self.forget();
        Ok(())
    }

    /// Empties the memory: large partitions get files, the rest goes to the disk.
    fn relieve(&mut self, files: &mut impl PartitionFiles<K>) -> Result<()> {
        let mut keys: Vec<(usize, K)> = self.waiting.iter().map(|(key, waiting)| (waiting.bytes, key.clone())).collect();
        keys.sort_by(|(a, first), (b, second)| b.cmp(a).then_with(|| first.cmp(second)));
        for (bytes, key) in keys {
            if bytes >= WORTH_A_FILE_BYTES && files.open_files() < self.max_open_files {
                self.drain(&key, files)?;
            } else {
                self.set_aside(&key)?;
            }
        }
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }

    /// Writes the rows of one partition to its file.
    fn drain(&mut self, key: &K, files: &mut impl PartitionFiles<K>) -> Result<()> {
        let Some(waiting) = self.waiting.remove(key) else { return Ok(()) };
        for segment in &waiting.spilled {
            let spill = self.spill.as_ref().ok_or_else(|| Error::bug("spilled rows have no recorded place"))?;
            for records in spill.read(segment)? {
                write_lots(key, &records, files)?;
            }
        }
        match self.gathered(&waiting.runs)? {
            Some(records) => write_lots(key, &records, files),
            None => Ok(()),
        }
    }

    /// Moves the rows of one partition from memory to the disk.
    fn set_aside(&mut self, key: &K) -> Result<()> {
        let Some(mut waiting) = self.waiting.remove(key) else { return Ok(()) };
        if let Some(records) = self.gathered(&waiting.runs)? {
            let spill = match self.spill.take() {
                Some(spill) => spill,
                None => Spill::create(self.folder.as_deref())?,
            };
            waiting.spilled.push(self.spill.insert(spill).write(&records)?);
        }
        waiting.runs.clear();
        waiting.bytes = 0;
        self.waiting.insert(key.clone(), waiting);
        Ok(())
    }

    /// Rows in memory as one batch.
    fn gathered(&self, runs: &[Run]) -> Result<Option<RecordBatch>> {
        if let [run] = runs {
            let batch = self.batches.get(run.batch as usize);
            return Ok(batch.map(|batch| batch.slice(run.first as usize, run.rows as usize)));
        }
        let rows = runs.iter().flat_map(|run| (run.first..run.first + run.rows).map(|row| (run.batch as usize, row as usize)));
        let rows: Vec<(usize, usize)> = rows.collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let gathered = interleave_record_batch(&batches, &rows);
        gathered.map(Some).map_err(|error| Error::bug(format!("rows of a partition can't be concatenated: {error}")))
    }
}

fn write_lots<K>(key: &K, records: &RecordBatch, files: &mut impl PartitionFiles<K>) -> Result<()> {
    let mut first = 0;
    while first < records.num_rows() {
        let rows = LOT_ROWS.min(records.num_rows() - first);
        files.write(key, &records.slice(first, rows))?;
        first += rows;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    /// Files in memory that note what they got.
    #[derive(Default)]
    struct Files {
        open: BTreeMap<u64, Vec<i64>>,
        done: BTreeMap<u64, Vec<Vec<i64>>>,
        /// The rows of a whole file.
        target: usize,
        most_open: usize,
    }

    impl PartitionFiles<u64> for Files {
        fn is_open(&self, key: &u64) -> bool {
            self.open.contains_key(key)
        }

        fn open_files(&self) -> usize {
            self.open.len()
        }

        fn write(&mut self, key: &u64, records: &RecordBatch) -> Result<()> {
            let file = self.open.entry(*key).or_default();
            file.extend(records.column(0).as_primitive::<Int64Type>().values());
            if file.len() >= self.target {
                self.finish(key)?;
            }
            self.most_open = self.most_open.max(self.open.len());
            Ok(())
        }

        fn finish(&mut self, key: &u64) -> Result<()> {
            if let Some(file) = self.open.remove(key) {
                self.done.entry(*key).or_default().push(file);
            }
            Ok(())
        }
    }

    /// Rows of this many partitions in turn, each with a text of this length.
    fn write(gather: &mut Gather<u64>, files: &mut Files, batches: i64, partitions: i64, text: usize) {
        const ROWS: i64 = 1000;
        for batch in 0..batches {
            let mut numbers: Vec<i64> = (batch * ROWS..(batch + 1) * ROWS).collect();
            numbers.sort_by_key(|number| (number % partitions, *number));
            let runs = numbers.chunk_by(|a, b| a % partitions == b % partitions);
            let mut at = 0;
            let runs: Vec<(u64, Range<usize>)> = runs
                .map(|run| {
                    at += run.len();
                    ((run[0] % partitions) as u64, at - run.len()..at)
                })
                .collect();
            let texts = StringArray::from_iter_values(numbers.iter().map(|number| format!("{number:>text$}")));
            let columns: [(&str, ArrayRef); 2] = [("n", Arc::new(Int64Array::from(numbers))), ("text", Arc::new(texts))];
            gather.write(RecordBatch::try_from_iter(columns).unwrap(), runs, files).unwrap();
        }
        gather.finish(files).unwrap();
        let open: Vec<u64> = files.open.keys().copied().collect();
        open.iter().for_each(|key| files.finish(key).unwrap());
    }

    fn check(files: &Files, rows: i64, partitions: i64, most_files: usize) {
        assert_eq!(files.done.len() as i64, partitions);
        for (key, written) in &files.done {
            assert!(written.len() <= most_files, "partition {key} has {} files", written.len());
            let expected: Vec<i64> = (0..rows).filter(|number| number % partitions == *key as i64).collect();
            assert_eq!(written.concat(), expected, "the rows of partition {key} keep their order");
        }
    }

    #[test]
    fn a_partition_has_one_file_however_many_there_are() {
        for (partitions, max_bytes) in [(1, 1 << 20), (7, 1 << 20), (105, 48 << 20), (105, 200_000), (1000, 200_000), (40, 50_000)] {
            let mut gather = Gather { max_bytes, ..Gather::new(32, None) };
            let mut files = Files { target: usize::MAX, ..Files::default() };
            write(&mut gather, &mut files, 20, partitions, 20);
            check(&files, 20_000, partitions, 1);
            assert!(files.most_open <= 33, "{} files were open", files.most_open);
        }
    }

    #[test]
    fn large_partitions_get_files_before_the_end_and_no_more_than_are_allowed() {
        let mut gather = Gather { max_bytes: 48 << 20, ..Gather::new(12, None) };
        let mut files = Files { target: usize::MAX, ..Files::default() };
        // 5 MB of each of 20 partitions.
        write(&mut gather, &mut files, 100, 20, 1000);
        check(&files, 100_000, 20, 1);
        assert!((12..=13).contains(&files.most_open), "{} files were open", files.most_open);
        assert!(gather.spill.is_some() && gather.batches.is_empty());
    }

    #[test]
    fn a_file_that_has_its_target_size_is_followed_by_another() {
        let mut gather = Gather { max_bytes: 100_000, ..Gather::new(32, None) };
        let mut files = Files { target: 100, ..Files::default() };
        write(&mut gather, &mut files, 20, 50, 20);
        check(&files, 20_000, 50, 4);
    }

    #[test]
    fn memory_stays_within_its_bound() {
        let mut gather = Gather { max_bytes: 1 << 20, ..Gather::new(32, None) };
        let mut files = Files { target: usize::MAX, ..Files::default() };
        for from in 0..200_i64 {
            let columns: [(&str, ArrayRef); 2] = [
                ("n", Arc::new(Int64Array::from_iter_values(from * 500..(from + 1) * 500))),
                ("text", Arc::new(StringArray::from_iter_values((0..500).map(|_| "x".repeat(100))))),
            ];
            let runs = (0..500).map(|row| (row as u64, row..row + 1)).collect();
            gather.write(RecordBatch::try_from_iter(columns).unwrap(), runs, &mut files).unwrap();
            assert!(gather.bytes <= 1 << 20);
        }
        gather.finish(&mut files).unwrap();
        assert_eq!(files.done.len() + files.open.len(), 500);
    }
}
