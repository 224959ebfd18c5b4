//! A log through crashes, damage, retries and trimming.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use wasmill_gateway::RefusalKind;

use super::*;

const LIMITS: Limits = Limits { max_bytes: 1 << 20, keep_keys: Duration::from_secs(3600) };

fn open(folder: &Path) -> Log {
    Log::open(folder, LIMITS, None).unwrap()
}

fn values(texts: &[&str]) -> Vec<Record> {
    texts.iter().map(|text| Record::of_value(text.as_bytes().to_vec())).collect()
}

fn key(key: u8, request: u8) -> Option<RequestKey> {
    Some(RequestKey { key: [key; 16], request: [request; 16] })
}

/// Waits on a thread of the test.
fn wait(log: &Log, taken: Taken) -> Result<(), Refusal> {
    wasmill_gateway::handle().unwrap().block_on(log.durable(taken))
}

fn put(log: &Log, texts: &[&str]) -> Taken {
    let taken = log.take("pins", &values(texts), None).unwrap();
    wait(log, taken).unwrap();
    taken
}

/// All values from a record on.
fn read(log: &Log, from: u64) -> Vec<String> {
    let (mut cursor, mut all) = (Cursor::new(log.folder(), log.id(), from).unwrap(), Vec::new());
    let mut next = from;
    while next < log.next() {
        for entry in cursor.next().unwrap() {
            for (number, record) in (entry.first..).zip(entry.records) {
                if number >= from {
                    all.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
                    next = number + 1;
                }
            }
        }
    }
    all
}

fn segments(folder: &Path) -> Vec<u64> {
    files::list(folder).unwrap().0
}

/// Waits until the thread of the log has done what it was asked for.
fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(std::time::Instant::now() < deadline, "it takes too long");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn what_is_durable_is_read_from_any_record_and_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    assert_eq!(put(&log, &["a", "b"]), Taken { first: 0, count: 2 });
    assert_eq!(put(&log, &["c"]), Taken { first: 2, count: 1 });
    assert_eq!(
        (read(&log, 0), read(&log, 1), read(&log, 3)),
        (vec!["a".into(), "b".into(), "c".into()], vec!["b".into(), "c".into()], vec![])
    );
    assert!(Log::open(folder.path(), LIMITS, None).err().unwrap().message().contains("another process"));
    let id = log.id();
    drop(log);
    let log = open(folder.path());
    assert_eq!((log.id(), log.next()), (id, 3));
    put(&log, &["d"]);
    assert_eq!(read(&log, 2), ["c", "d"]);
}

#[test]
fn a_block_that_was_being_written_is_cut_off_and_damage_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    put(&log, &["a"]);
    let whole = std::fs::metadata(files::segment(folder.path(), 0)).unwrap().len();
    put(&log, &["b"]);
    drop(log);
    let path = files::segment(folder.path(), 0);
    let bytes = std::fs::read(&path).unwrap();
    for length in whole + 1..bytes.len() as u64 {
        std::fs::write(&path, &bytes[..length as usize]).unwrap();
        let log = open(folder.path());
        assert_eq!((log.next(), read(&log, 0)), (1, vec!["a".into()]), "cut at {length}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), whole);
    }
    // The first block is damaged, and the second one shows that it was durable.
    for at in 0..whole {
        std::fs::write(&path, &bytes).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[bytes[at as usize] ^ 0x55], at).unwrap();
        let error = Log::open(folder.path(), LIMITS, None).err().unwrap();
        assert_eq!(error.kind().unwrap().name, "http/log-damaged", "byte {at}: {error}");
    }
}

#[test]
fn a_retried_request_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let first = log.take("pins", &values(&["a", "b"]), key(1, 1)).unwrap();
    assert_eq!(log.take("pins", &values(&["a", "b"]), key(1, 1)).unwrap(), first);
    wait(&log, first).unwrap();
    assert_eq!(log.take("pins", &values(&["x"]), key(1, 2)).unwrap_err().kind, RefusalKind::KeyReused);
    assert_eq!(log.take("pins", &values(&["c"]), key(2, 1)).unwrap().first, 2);
    drop(log);
    let log = open(folder.path());
    assert_eq!(log.take("pins", &values(&["a", "b"]), key(1, 1)).unwrap(), first);
    assert_eq!(read(&log, 0), ["a", "b", "c"]);
}

#[test]
fn what_is_committed_is_removed_and_its_keys_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 64 << 10, ..LIMITS };
    let log = Log::open(folder.path(), limits, None).unwrap();
    let long = "x".repeat(8 << 10);
    let mut full = false;
    for number in 0..40u8 {
        match log.take("pins", &values(&[&long]), key(number, 0)) {
            Ok(taken) => wait(&log, taken).unwrap(),
            Err(refusal) => {
                assert_eq!((refusal.kind, refusal.retry_after.is_some()), (RefusalKind::Full, true));
                assert!((6..9).contains(&number), "{number}");
                full = true;
                break;
            }
        }
    }
    assert!(full && segments(folder.path()).len() > 2);
    log.trim(3);
    until(|| segments(folder.path())[0] > 0);
    let first = segments(folder.path())[0];
    assert!(first <= 3, "record 3 is still there");
    assert_eq!(read(&log, 3).len() as u64, log.next() - 3);
    let next = log.next();
    // Everything is committed: there is room for as much as before, whatever the last segment holds.
    log.trim(next);
    until(|| segments(folder.path()).len() == 1);
    for number in 100..106u8 {
        wait(&log, log.take("pins", &values(&[&long]), key(number, 0)).unwrap()).unwrap();
    }
    let id = log.id();
    drop(log);
    let log = Log::open(folder.path(), limits, Some((id, next))).unwrap();
    let known = log.take("pins", &values(&[&long]), key(0, 0)).unwrap();
    assert_eq!(known, Taken { first: 0, count: 1 }, "its segment is gone");
    assert_eq!(log.next(), next + 6);
}

#[test]
fn a_log_that_is_not_that_of_the_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let code = |committed| Log::open(folder.path(), LIMITS, Some(committed)).err().map(|error| error.kind().unwrap().name);
    assert_eq!(code((Uuid::new_v4(), 0)), Some("http/log-lost"), "there is none");
    let log = open(folder.path());
    put(&log, &["a"]);
    let id = log.id();
    drop(log);
    assert_eq!(code((Uuid::new_v4(), 0)), Some("http/log-lost"), "another one");
    assert_eq!(code((id, 2)), Some("http/log-lost"), "its end is gone");
    assert_eq!(code((id, 1)), None);
    std::fs::remove_file(folder.path().join("id")).unwrap();
    assert_eq!(Log::open(folder.path(), LIMITS, None).err().unwrap().kind().unwrap().name, "http/log-damaged");
}

#[test]
fn what_a_killed_process_was_writing_beside_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    for name in ["read-to.unfinished", "keys-00000000000000000000.unfinished"] {
        std::fs::write(folder.path().join(name), "half").unwrap();
    }
    drop(open(folder.path()));
    let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["id", "lock"]);
}

#[test]
fn after_a_reset_nothing_is_read_twice() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    put(&log, &["a", "b"]);
    log.trim(1);
    until(|| folder.path().join("read-to").exists());
    drop(log);
    let extent = recover::extent(folder.path(), None).unwrap().unwrap();
    assert_eq!((extent.records.clone(), recover::begin(folder.path(), &extent.records).unwrap()), (0..2, 1));
}

#[test]
fn many_requests_at_once_become_durable_together() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(open(folder.path()));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = Arc::clone(&log);
            scope.spawn(move || {
                for number in 0..50 {
                    let _ = put(&log, &[&format!("{thread}-{number}")]);
                }
            });
        }
    });
    let mut all = read(&log, 0);
    all.sort();
    all.dedup();
    assert_eq!((all.len(), log.next()), (400, 400));
}
