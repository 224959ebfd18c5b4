//! Records in the spool: everything that a producer needs, one after the other.
//!
//! ```text
//! u32 length of what follows | i32 partition, -1: by the key | i64 milliseconds since 1970, 0: none
//! i32 length, -1: none | key | i32 length, -1: none | value | u16 headers | each: u16 length | name | u32 length | value
//! ```
//! Numbers are little-endian. A prepared commit of format 1 names files of such records.

use wasmill_engine::{Error, Result};

use wasmill_connect::spool::SpoolReader;

/// A record as it lies in the spool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) partition: Option<i32>,
    pub(super) timestamp: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// The record of a token.
    pub(super) fn token(key: &'a [u8], value: &'a [u8]) -> Self {
        Self { partition: Some(0), timestamp: None, key: Some(key), value: Some(value), headers: Headers::none() }
    }
}

/// The headers of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Headers<'a> {
    pub(super) count: usize,
    bytes: &'a [u8],
}

impl Headers<'_> {
    /// A record without headers.
    pub(super) fn none() -> Self {
        Self { count: 0, bytes: &[] }
    }
}

/// Starts a record after the content of `out`; [`end`] completes it.
pub(super) fn begin(out: &mut Vec<u8>, partition: Option<i32>, timestamp: Option<i64>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&partition.unwrap_or(-1).to_le_bytes());
    out.extend_from_slice(&timestamp.unwrap_or(0).to_le_bytes());
    start
}

/// Appends a key or a value.
pub(super) fn part(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let length = bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// Appends a header. Names are checked to be short.
pub(super) fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(value);
}

/// Notes the length of the record that begins at `start`.
pub(super) fn end(out: &mut [u8], start: usize) {
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Reads the records of a file of the spool.
pub(super) struct Records {
    file: SpoolReader,
    buffer: Vec<u8>,
    /// Where the next record begins.
    next: usize,
}

impl Records {
    pub(super) fn new(file: SpoolReader) -> Self {
        Self { file, buffer: Vec::new(), next: 0 }
    }

    /// The next record; none at the end, where the file is verified to be what was written.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>> {
        let length = loop {
            let rest = &self.buffer[self.next..];
            if let Some(length) = rest.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize)
                && rest.len() >= 4 + length
            {
                break length;
            }
            self.buffer.drain(..self.next);
            self.next = 0;
            match self.file.next_bytes()? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(malformed()),
            }
        };
        let start = self.next + 4;
        self.next = start + length;
        read(&self.buffer[start..start + length]).map(Some).ok_or_else(malformed)
    }
}

/// Its digest is that of what was written, so only Wasmill can have written it so.
fn malformed() -> Error {
    Error::bug("a prepared file does not hold records of Kafka")
}

fn read(bytes: &[u8]) -> Option<Record<'_>> {
    let mut rest = bytes;
    let partition = i32::from_le_bytes(*take(&mut rest, 4)?.first_chunk()?);
    let timestamp = i64::from_le_bytes(*take(&mut rest, 8)?.first_chunk()?);
    let key = optional(&mut rest)?;
    let value = optional(&mut rest)?;
    let count = usize::from(u16::from_le_bytes(*take(&mut rest, 2)?.first_chunk()?));
    let headers = Headers { count, bytes: rest };
    Some(Record { partition: (partition >= 0).then_some(partition), timestamp: (timestamp != 0).then_some(timestamp), key, value, headers })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// `None`: the bytes end too early. `Some(None)`: there is nothing.
fn optional<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = i32::from_le_bytes(*take(bytes, 4)?.first_chunk()?);
    match usize::try_from(length) {
        Err(_) => Some(None),
        Ok(length) => take(bytes, length).map(Some),
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let name = usize::from(u16::from_le_bytes(*take(&mut self.bytes, 2)?.first_chunk()?));
        let name = std::str::from_utf8(take(&mut self.bytes, name)?).ok()?;
        let value = u32::from_le_bytes(*take(&mut self.bytes, 4)?.first_chunk()?) as usize;
        Some((name, take(&mut self.bytes, value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmill_connect::spool::Spool;

    #[test]
    fn records_come_back_as_they_were_also_those_longer_than_a_chunk() {
        let folder = tempfile::tempdir().unwrap();
        let depot: std::sync::Arc<dyn wasmill_engine::Depot> = std::sync::Arc::new(wasmill_engine::LocalDepot::new(folder.path()));
        let spool = Spool::of(&depot, "p", "s");
        let mut writer = spool.create(uuid::Uuid::nil(), 1).unwrap();
        let long = vec![7_u8; 700_000];
        for number in 0..300_i32 {
            let mut bytes = Vec::new();
            let start = begin(&mut bytes, (number % 2 == 0).then_some(number), (number % 3 == 0).then_some(i64::from(number) + 1));
            let key = number.to_string();
            part(&mut bytes, (number % 5 != 0).then_some(key.as_bytes()));
            part(&mut bytes, if number == 150 { Some(&long) } else { (number % 7 != 0).then_some(b"value") });
            let headers = u16::try_from(number % 3).unwrap();
            bytes.extend_from_slice(&headers.to_le_bytes());
            (0..headers).for_each(|_| header(&mut bytes, "name", key.as_bytes()));
            end(&mut bytes, start);
            writer.write(&bytes, 1).unwrap();
        }
        let file = writer.finish().unwrap();
        let mut records = Records::new(spool.open(&file).unwrap());
        for number in 0..300_i32 {
            let record = records.next().unwrap().unwrap();
            let key = number.to_string();
            assert_eq!(record.partition, (number % 2 == 0).then_some(number));
            assert_eq!(record.timestamp, (number % 3 == 0).then_some(i64::from(number) + 1));
            assert_eq!(record.key, (number % 5 != 0).then_some(key.as_bytes()));
            let value = if number == 150 { Some(long.as_slice()) } else { (number % 7 != 0).then_some(b"value".as_slice()) };
            assert_eq!(record.value, value);
            assert_eq!(record.headers.clone().collect::<Vec<_>>(), vec![("name", key.as_bytes()); record.headers.count]);
            assert_eq!(record.headers.count, usize::try_from(number % 3).unwrap());
        }
        assert_eq!(records.next().unwrap(), None);
    }
}
