//! Logs that were cut off or changed in any place: what is read is what was written, from its beginning, or it is an error.

use proptest::prelude::*;

use super::*;

/// A request: the lengths of its records, and its key.
type Posted = (Vec<usize>, Option<u8>);

/// Segments of 4 KiB.
const SMALL: Limits = Limits { max_bytes: 16 << 10, keep_keys: Duration::from_secs(3600) };

fn posted() -> impl Strategy<Value = Vec<Posted>> {
    proptest::collection::vec((proptest::collection::vec(0usize..900, 1..4), proptest::option::of(0u8..6)), 1..25)
}

/// A value that tells its number.
fn value(number: u64, length: usize) -> Vec<u8> {
    format!("{number}:").into_bytes().into_iter().chain(std::iter::repeat_n(b'x', length)).collect()
}

fn request(key: u8) -> RequestKey {
    RequestKey { key: [key; 16], request: [key; 16] }
}

/// What was written: the values, and where each key's request begins.
#[derive(Default)]
struct Written {
    values: Vec<Vec<u8>>,
    keys: Vec<(u8, Taken)>,
}

/// Writes requests, each durable before the next; trims what every sink is said to have, and ends as a process does that is stopped.
fn write(folder: &Path, requests: &[Posted], trim_at: usize) -> Written {
    let log = Log::open(folder, SMALL, None).unwrap();
    let mut written = Written::default();
    for (at, (lengths, key)) in requests.iter().enumerate() {
        let first = written.values.len() as u64;
        let values: Vec<Vec<u8>> = (first..).zip(lengths).map(|(number, length)| value(number, *length)).collect();
        let records: Vec<Record> = values.iter().map(|value| Record::of_value(value.clone())).collect();
        // A key is used once: a second request of it is another one.
        let key = key.filter(|key| written.keys.iter().all(|(known, _)| known != key));
        // It is full some time.
        let Ok(taken) = log.take("pins", &records, key.map(request)) else { break };
        wasmill_gateway::handle().unwrap().block_on(log.durable(taken)).unwrap();
        written.keys.extend(key.map(|key| (key, taken)));
        written.values.extend(values);
        if at % 5 == trim_at {
            log.trim(taken.first);
        }
    }
    log.close();
    written
}

/// All values of a log by their numbers, as a reader behind the last checkpoint finds them.
fn read(log: &Log, from: u64) -> Result<Vec<(u64, Vec<u8>)>> {
    let (mut cursor, mut all, mut next) = (Cursor::new(log.folder(), log.id(), from)?, Vec::new(), from);
    while next < log.next() {
        for entry in cursor.next()? {
            for (number, record) in (entry.first..).zip(entry.records) {
                if number >= from {
                    all.push((number, record.value.unwrap_or_default().to_vec()));
                    next = number + 1;
                }
            }
        }
    }
    Ok(all)
}

/// The files of a folder, in order.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// Opens a log that may be damaged. An error has a code of its own; a log that opens has what was written from some record on, and nothing else.
/// Returns the number behind its last record.
fn check(folder: &Path, written: &Written) -> std::result::Result<Option<u64>, TestCaseError> {
    let refused = |error: &Error| -> std::result::Result<Option<u64>, TestCaseError> {
        let code = error.kind().map_or("", |code| code.name);
        prop_assert!(matches!(code, "http/log-damaged" | "http/log-lost"), "{error:?}");
        Ok(None)
    };
    let extent = extent_of(folder, None);
    let log = match Log::open(folder, SMALL, None) {
        Ok(log) => log,
        Err(error) => return refused(&error),
    };
    let begin = match log.begin() {
        Ok(begin) => begin,
        Err(error) => return refused(&error),
    };
    let (id, from, end) = extent.map_err(|error| TestCaseError::fail(format!("{error:?}")))?.unwrap_or((log.id(), begin, log.next()));
    prop_assert_eq!((id, from, end), (log.id(), begin, log.next()), "a batch sees the same log as a stream");
    let found = match read(&log, begin) {
        Ok(found) => found,
        Err(error) => return refused(&error),
    };
    let expected: Vec<(u64, Vec<u8>)> = (begin..log.next()).map(|number| (number, written.values[number as usize].clone())).collect();
    prop_assert_eq!(found, expected);
    let end = log.next();
    for (key, taken) in &written.keys {
        // A key that is remembered is that of its request; one that is forgotten was that of a request which is not there.
        match log.take("pins", &[Record::of_value("again")], Some(request(*key))) {
            Ok(again) if again.first < end => prop_assert_eq!(again, *taken),
            Ok(_) => prop_assert!(taken.first + u64::from(taken.count) > end, "{taken:?} is there, and its key is forgotten"),
            Err(refusal) => prop_assert!(refusal.kind == RefusalKind::Full, "{refusal:?}"),
        }
    }
    Ok(Some(end))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The last segment is cut off anywhere, as a process is that is killed while it writes: what is before the cut is there, block by block.
    #[test]
    fn a_torn_tail_ends_cleanly(requests in posted(), cut in 0.0f64..1.0) {
        let folder = tempfile::tempdir().unwrap();
        // Nothing is trimmed here.
        let written = write(folder.path(), &requests[..requests.len().min(12)], 9);
        let last = *files::list(folder.path()).unwrap().0.last().unwrap();
        let path = files::segment(folder.path(), last);
        let length = std::fs::metadata(&path).unwrap().len();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len((length as f64 * cut) as u64).unwrap();
        let end = check(folder.path(), &written)?;
        prop_assert!(end.is_some_and(|end| end >= last), "segments before are whole: {end:?} of {last}");
    }

    /// A bit of any file is another one.
    #[test]
    fn a_changed_bit_is_never_a_wrong_row(requests in posted(), file in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), bit in 0u8..8, trim_at in 0usize..5) {
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), &requests, trim_at);
        let files: Vec<PathBuf> = all_files(folder.path()).into_iter().filter(|path| std::fs::metadata(path).unwrap().len() > 0).collect();
        let path = &files[file.index(files.len())];
        let mut bytes = std::fs::read(path).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        std::fs::write(path, &bytes).unwrap();
        check(folder.path(), &written)?;
    }

    /// A part of any file is gone, or filled with zeros as by a file system that lost it.
    #[test]
    fn a_lost_part_is_never_a_wrong_row(requests in posted(), file in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), length in 1usize..5000, zeros in any::<bool>(), trim_at in 0usize..5) {
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), &requests, trim_at);
        let files = all_files(folder.path());
        let path = &files[file.index(files.len())];
        let mut bytes = std::fs::read(path).unwrap();
        if !bytes.is_empty() {
            let from = place.index(bytes.len());
            let to = (from + length).min(bytes.len());
            if zeros { bytes[from..to].fill(0) } else { drop(bytes.drain(from..to)) }
            std::fs::write(path, &bytes).unwrap();
        }
        check(folder.path(), &written)?;
    }
}
