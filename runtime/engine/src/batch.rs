//! A batch: rows in Arrow, and where each of them came from.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;

/// Rows on their way through a lane. Cloning costs a few reference counts.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The rows.
    pub records: RecordBatch,
    /// Where each row came from.
    pub lineage: Lineage,
}

/// What a source read in one go: the records that a batch was decoded from.
#[derive(Debug)]
pub struct SourceChunk {
    /// The source's name in the pipeline.
    pub source: Arc<str>,
    /// The source partition as readers know it: a file's path, `topic/3`.
    pub partition: Arc<str>,
    /// The original records, one for each decoded row.
    pub payload: Payload,
}

/// The original records of a chunk, in order.
#[derive(Debug)]
pub enum Payload {
    /// Bytes that are still in memory; record `i` is `data[ranges[i]]` and its position is `base +
    /// ranges[i].start`.
    Bytes {
        /// What was read.
        data: Bytes,
        /// The position of `data[0]`: a byte offset in the (decompressed) partition.
        base: u64,
        /// Where each record lies in `data`.
        ranges: Vec<Range<u32>>,
    },
    /// Records that have no bytes of their own (a Parquet row); row `i` has the position `first + i`.
    Rows {
        /// The position of the first row.
        first: u64,
        /// How many rows there are.
        count: usize,
    },
    /// Records that the source keeps in a form of its own. Their bytes are copied out only on
    /// demand.
    Records(Box<dyn Records>),
}

/// Original records in the source's own memory, kept alive as long as a batch that was decoded from them.
pub trait Records: fmt::Debug + Send + Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// The position of record `index` in its partition. Called only with indices below `count`.
    fn position(&self, index: usize) -> u64;

    /// A copy of the bytes of record `index`, if it has any.
    fn bytes(&self, index: usize) -> Option<Bytes>;

    /// Where record `index` is, for readers, where the partition of the chunk and a number do not
    /// suffice. The number is then a position within this place.
    fn place(&self, _index: usize) -> Option<Arc<str>> {
        None
    }
}

impl Payload {
    /// How many records there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes { ranges, .. } => ranges.len(),
            Self::Rows { count, .. } => *count,
            Self::Records(records) => records.count(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position of record `index` in its partition: a byte offset, a row number or a message's offset, from 0.
    pub fn position(&self, index: usize) -> u64 {
        match self {
            Self::Bytes { base, ranges, .. } => base + ranges.get(index).map_or(0, |range| u64::from(range.start)),
            Self::Rows { first, .. } => first + index as u64,
            Self::Records(records) => records.position(index),
        }
    }

    /// The original bytes of record `index`, where the source has them.
    pub fn bytes(&self, index: usize) -> Option<Bytes> {
        match self {
            Self::Bytes { data, ranges, .. } => {
                let range = ranges.get(index)?;
                let (start, end) = (range.start as usize, range.end as usize);
                (start <= end && end <= data.len()).then(|| data.slice(start..end))
            }
            Self::Rows { .. } => None,
            Self::Records(records) => records.bytes(index),
        }
    }
}

/// Where the rows of a batch came from: a source chunk, and for each row its record in that chunk.
#[derive(Debug, Clone)]
pub struct Lineage {
    chunk: Arc<SourceChunk>,
    /// `None`: row `i` is record `i`.
    rows: Option<Arc<[u32]>>,
    /// Whether a stage produced several rows of one record somewhere on the way.
    derived: bool,
}

impl Lineage {
    /// The lineage of a freshly decoded batch: row `i` is record `i`.
    pub fn of_source(chunk: Arc<SourceChunk>) -> Self {
        Self { chunk, rows: None, derived: false }
    }

    /// The lineage of rows that a stage produced: `origins[i]` is the input row that row `i` comes
    /// from, never decreasing. `None` means every row, in order; a stage's rejects must be left out
    /// by then.
    #[must_use]
    pub fn through(&self, origins: Option<&[u32]>) -> Self {
        let Some(origins) = origins else { return self.clone() };
        let derived = self.derived || origins.windows(2).any(|pair| pair[0] == pair[1]);
        let rows = match &self.rows {
            None => Arc::from(origins),
            Some(rows) => origins.iter().map(|&row| rows[row as usize]).collect(),
        };
        Self { chunk: Arc::clone(&self.chunk), rows: Some(rows), derived }
    }

    /// The lineage of a contiguous part of the rows.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        let rows = match &self.rows {
            None => (offset as u32..(offset + length) as u32).collect(),
            Some(rows) => Arc::from(&rows[offset..offset + length]),
        };
        Self { chunk: Arc::clone(&self.chunk), rows: Some(rows), derived: self.derived }
    }

    /// The chunk that the rows were decoded from.
    pub fn chunk(&self) -> &SourceChunk {
        &self.chunk
    }

    /// The record in the chunk that a row comes from.
    pub fn record(&self, row: usize) -> usize {
        self.rows.as_ref().map_or(row, |rows| rows[row] as usize)
    }

    /// The position of a row's record in its source partition.
    pub fn position(&self, row: usize) -> u64 {
        self.chunk.payload.position(self.record(row))
    }

    /// The source partition that a row's record came from, as readers know it.
    pub fn partition(&self, row: usize) -> Arc<str> {
        let place = match &self.chunk.payload {
            Payload::Records(records) => records.place(self.record(row)),
            Payload::Bytes { .. } | Payload::Rows { .. } => None,
        };
        place.unwrap_or_else(|| Arc::clone(&self.chunk.partition))
    }

    /// The bytes that a row had in its source. `None` where the source has none, or where a stage
    /// produced several rows of one record, because those bytes are then not this row.
    pub fn original(&self, row: usize) -> Option<Bytes> {
        if self.derived { None } else { self.chunk.payload.bytes(self.record(row)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> Arc<SourceChunk> {
        let payload = Payload::Bytes { data: Bytes::from_static(b"aa\nbbb\nc\n"), base: 100, ranges: vec![0..2, 3..6, 7..8] };
        Arc::new(SourceChunk { source: "s".into(), partition: "p".into(), payload })
    }

    #[test]
    fn origins_compose_through_stages() {
        let lineage = Lineage::of_source(chunk()).through(Some(&[1, 2])).through(Some(&[1]));
        assert_eq!(lineage.position(0), 107);
        assert_eq!(lineage.original(0).as_deref(), Some(&b"c"[..]));
    }

    #[test]
    fn a_row_made_of_part_of_a_record_has_no_original_bytes() {
        let lineage = Lineage::of_source(chunk()).through(Some(&[0, 0, 1]));
        assert_eq!(lineage.original(2), None);
        assert_eq!(lineage.position(2), 103);
    }

    #[derive(Debug)]
    struct Named(Option<&'static str>);

    impl Records for Named {
        fn count(&self) -> usize {
            1
        }

        fn position(&self, _: usize) -> u64 {
            3
        }

        fn bytes(&self, _: usize) -> Option<Bytes> {
            None
        }

        fn place(&self, _: usize) -> Option<Arc<str>> {
            self.0.map(Into::into)
        }
    }

    #[test]
    fn a_record_that_knows_its_place_reports_it() {
        assert_eq!(&*Lineage::of_source(chunk()).partition(1), "p");
        for (place, reported) in [(Some("p/495"), "p/495"), (None, "p")] {
            let payload = Payload::Records(Box::new(Named(place)));
            let chunk = SourceChunk { source: "s".into(), partition: "p".into(), payload };
            let lineage = Lineage::of_source(Arc::new(chunk));
            assert_eq!((&*lineage.partition(0), lineage.position(0)), (reported, 3));
        }
    }

    #[test]
    fn a_slice_keeps_positions() {
        let lineage = Lineage::of_source(chunk()).slice(1, 2);
        assert_eq!((lineage.position(0), lineage.position(1)), (103, 107));
    }
}
