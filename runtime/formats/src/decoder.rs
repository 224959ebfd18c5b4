//! What decoders of text records have in common.

use arrow_array::RecordBatch;
use wasmill_error::Result;

use super::columns::Step;

/// Decodes records one by one into a batch under construction.
///
/// # Contract
/// A record that fails leaves no trace: the batch is as it was before it.
pub trait RecordDecoder: Send {
    /// Decodes one record as the next row.
    ///
    /// # Errors
    /// Why this record can't be decoded. The decoder continues with the next record.
    fn push(&mut self, record: &str) -> Step;

    /// Notes from now on which keys of records no column takes.
    fn watch(&mut self) {}

    /// What was noted since the last call. Records that failed do not count.
    fn unknown(&mut self) -> Vec<Unknown> {
        Vec::new()
    }

    /// The rows so far.
    fn rows(&self) -> usize;

    /// The values that the columns hold so far, nested ones included: a bound for their memory.
    fn cells(&self) -> usize;

    /// The rows so far as a batch. The decoder is empty afterwards.
    ///
    /// # Errors
    /// A bug.
    fn finish(&mut self) -> Result<RecordBatch>;
}

/// A key of records that no column takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unknown {
    /// Its name; below an object `orders.price`.
    pub name: String,
    /// Whether it lies inside of a column.
    pub is_nested: bool,
    /// In how many records it had a value.
    pub records: u64,
    /// Some of its values, as JSON.
    pub values: Vec<String>,
}

/// The records of a buffer as texts. UTF-8 is checked once for all of them; only if that fails is it checked for each.
pub struct Utf8Records<'a> {
    data: &'a [u8],
    text: Option<&'a str>,
}

impl<'a> Utf8Records<'a> {
    /// The records in `data`, which must hold whole records only.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, text: simdutf8::basic::from_utf8(data).ok() }
    }

    /// One record.
    ///
    /// # Errors
    /// `invalid-utf8`, with the place.
    #[inline]
    pub fn record(&self, range: std::ops::Range<usize>) -> Step<&'a str> {
        if let Some(record) = self.text.and_then(|text| text.get(range.clone())) {
            return Ok(record);
        }
        let bytes = self.data.get(range).unwrap_or_default();
        simdutf8::compat::from_utf8(bytes).map_err(|error| invalid(bytes, error.valid_up_to()))
    }
}

#[cold]
fn invalid(bytes: &[u8], at: usize) -> Box<super::BadRecord> {
    let byte = bytes.get(at).copied().unwrap_or_default();
    super::BadRecord::new("invalid-utf8", format!("the byte {byte:#04x} at byte {at} of the record is not UTF-8"))
}
