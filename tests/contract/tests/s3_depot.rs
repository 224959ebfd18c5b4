//! What lies beside the checkpoints of a state in a bucket: the depot's files, which any machine can read, and the notes of commits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod sink_contract {
    pub mod readers;
    pub mod uploads;
}
mod store;

use std::io::Read;
use std::sync::Arc;

use sink_contract::uploads;
use store::Prefix;
use store::proxy::Proxy;
use uuid::Uuid;
use wasmill_engine::{Checkpoint, Depot, DepotFile, DepotKey, EpochId, Error, Result, StateStore};
use wasmill_objects::{S3Config, S3State};

fn depot(prefix: &Prefix) -> Arc<dyn Depot> {
    S3State::open_with(&prefix.uri("state"), "p", &store::config()).unwrap().depot()
}

fn write(depot: &dyn Depot, incarnation: Uuid, epoch: u64, bytes: &[u8]) -> DepotFile {
    let mut writer = depot.create(&DepotKey { folder: "spool/p.s", incarnation, epoch, kind: "rows" }).unwrap();
    // Of no size that divides anything.
    bytes.chunks(1_000_003).for_each(|chunk| writer.write_all(chunk).unwrap());
    writer.finish().unwrap()
}

fn read(depot: &dyn Depot, file: &DepotFile) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    depot.open(file)?.read_to_end(&mut bytes).map_err(|error| Error::io("read", error))?;
    Ok(bytes)
}

/// Bytes that say where they are.
fn numbered(length: usize) -> Vec<u8> {
    (0..length.div_ceil(8) as u64).flat_map(u64::to_le_bytes).take(length).collect()
}

fn small_and_large_files_are_read_by_another_process_until_they_are_removed() {
    let prefix = Prefix::new();
    let (first, second) = (depot(&prefix), depot(&prefix));
    let sizes = [0, 9, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 21_000_017];
    let files: Vec<DepotFile> = sizes.iter().map(|size| write(&*first, Uuid::nil(), 1, &numbered(*size))).collect();
    first.seal(&files).unwrap();
    assert_eq!(uploads::pending(&prefix).len(), 0);
    for (file, size) in files.iter().zip(sizes) {
        assert!(read(&*second, file).unwrap() == numbered(size), "{size} bytes");
        assert_eq!(file.bytes, size as u64);
    }
    // Where a thread drives asynchronous work already, as commits into databases do.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(async { read(&*second, &files[4]) }).unwrap() == numbered(sizes[4]));
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let mut listed = second.list("spool/p.s").unwrap();
    listed.sort_by_key(|name| names.iter().position(|known| known == name));
    assert_eq!(listed, names);
    second.remove(&names).unwrap();
    second.remove(&names).unwrap();
    assert!(read(&*first, &files[0]).unwrap_err().message().contains("is gone"));
    assert_eq!(first.read(&names[0]).unwrap(), None);
}

/// As a stage does with a file that it has merged into another one before the end of the epoch.
fn a_file_that_is_removed_before_it_is_sealed_is_gone() {
    let prefix = Prefix::new();
    let depot = depot(&prefix);
    let sizes = [9; 20].into_iter().chain([(8 << 20) + 1]);
    for size in sizes {
        let file = write(&*depot, Uuid::nil(), 1, &numbered(size));
        depot.remove(std::slice::from_ref(&file.name)).unwrap();
        assert!(depot.seal(&[file]).is_err(), "{size} bytes: it was removed");
    }
    // It is put when all others would have been.
    let last = write(&*depot, Uuid::nil(), 1, b"last");
    depot.seal(std::slice::from_ref(&last)).unwrap();
    assert_eq!(depot.list("spool/p.s").unwrap(), [last.name]);
    assert_eq!(uploads::pending(&prefix).len(), 0);
}

fn a_file_that_was_touched_is_never_taken_for_whole() {
    let prefix = Prefix::new();
    let depot = depot(&prefix);
    let file = write(&*depot, Uuid::nil(), 1, b"some rows");
    depot.seal(std::slice::from_ref(&file)).unwrap();
    for (touched, what) in [("some rowS", "does not match its digest"), ("some row", "has 8 bytes, and 9 were prepared")] {
        prefix.put(&format!("state/p/{}", file.name), touched);
        let error = read(&*depot, &file).unwrap_err();
        assert!(error.message().contains(what), "{error}");
    }
    let unknown = DepotFile { name: "spool/p.s/never-written".into(), bytes: 0, sha256: String::new() };
    assert!(depot.seal(&[unknown]).is_err(), "only what this process wrote can be sealed");
}

fn cleaning_takes_objects_and_uploads_of_processes_that_ended_and_spares_all_others() {
    let prefix = Prefix::new();
    let (ended, next) = (depot(&prefix), depot(&prefix));
    let (mine, other) = (Uuid::now_v7(), Uuid::now_v7());
    let sealed = write(&*ended, mine, 4, b"sealed and never noted");
    ended.seal(&[sealed]).unwrap();
    write(&*ended, mine, 5, &numbered(9 << 20));
    let spared = [write(&*next, mine, 6, b"a successor's"), write(&*next, other, 1, b"of another life")];
    next.seal(&spared).unwrap();
    let large = write(&*next, mine, 7, &numbered(9 << 20));
    let begun = std::time::Instant::now();
    while uploads::pending(&prefix).len() < 2 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "both uploads are on their way");
    }
    next.clean("spool/p.s", EpochId { incarnation: mine, epoch: 5 }, &|_| false).unwrap();
    next.seal(std::slice::from_ref(&large)).unwrap();
    let mut stay: Vec<String> = spared.iter().chain([&large]).map(|file| file.name.clone()).collect();
    stay.sort();
    assert_eq!((next.list("spool/p.s").unwrap(), uploads::pending(&prefix).len()), (stay, 0));
}

fn clearing_the_state_takes_its_files_and_nothing_of_others() {
    let prefix = Prefix::new();
    let state = S3State::open_with(&prefix.uri("state"), "p", &store::config()).unwrap();
    let file = write(&*state.depot(), Uuid::nil(), 1, b"rows");
    state.depot().seal(std::slice::from_ref(&file)).unwrap();
    prefix.put("state/p/committed-0000000009", "");
    prefix.put("state/p/inner/epoch-0000000001.json", "of a state that somebody keeps in this one");
    prefix.put("state/pq/epoch-0000000001.json", "of another pipeline");
    let first = Checkpoint {
        pipeline: "p".into(),
        incarnation: Uuid::now_v7(),
        epoch: 10,
        sources: Default::default(),
        sinks: Default::default(),
        stages: Default::default(),
    };
    state.forget_before(&first).unwrap();
    assert_eq!(prefix.names(), ["state/p/inner/epoch-0000000001.json", "state/pq/epoch-0000000001.json"]);
}

/// A process is stopped before it begins the upload of a large file, and the state is reset: what it begins when it wakes up is found by the new life.
fn notes_of_uploads_pass_to_the_life_that_a_reset_begins() {
    let (prefix, proxy) = (Prefix::new(), Proxy::start());
    let through = S3Config { endpoint: Some(proxy.address.clone()), ..store::config() };
    let stopped = S3State::open_with(&prefix.uri("state"), "p", &through).unwrap().depot();
    proxy.keep(&["POST ", "?uploads"]);
    let mut writer = stopped.create(&DepotKey { folder: "spool/p.s", incarnation: Uuid::now_v7(), epoch: 4, kind: "rows" }).unwrap();
    let written = writer.write_all(&numbered(9 << 20));
    let sealed = written.map_err(|error| Error::io("write", error)).and_then(|()| stopped.seal(&[writer.finish()?]));
    assert!(sealed.unwrap_err().message().contains("AccessDenied"));

    let state = S3State::open_with(&prefix.uri("state"), "p", &store::config()).unwrap();
    let next = Uuid::now_v7();
    let first = Checkpoint {
        pipeline: "p".into(),
        incarnation: next,
        epoch: 10,
        sources: Default::default(),
        sinks: Default::default(),
        stages: Default::default(),
    };
    state.forget_before(&first).unwrap();
    let answer = proxy.deliver();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(uploads::pending(&prefix).len(), 1);
    state.depot().clean("spool/p.s", EpochId { incarnation: next, epoch: 11 }, &|_| false).unwrap();
    assert_eq!(uploads::pending(&prefix).len(), 0);
}

/// A note counts for the very checkpoint that it was written for: its digest says which.
fn a_note_says_nothing_if_it_is_damaged_or_of_another_checkpoint() {
    let prefix = Prefix::new();
    let open = || S3State::open_with(&prefix.uri("state"), "p", &store::config()).unwrap();
    let checkpoint = |incarnation| Checkpoint {
        pipeline: "p".into(),
        incarnation: Uuid::from_u128(incarnation),
        epoch: 1,
        sources: Default::default(),
        sinks: Default::default(),
        stages: Default::default(),
    };
    let (state, note) = (open(), "state/p/committed-0000000001");
    state.put(&checkpoint(3)).unwrap();
    assert!(!state.is_noted_committed(1), "nothing is noted yet");
    state.note_committed(1);
    let noted = prefix.get(note);
    assert!(open().is_noted_committed(1), "another process reads it");
    let mut flipped = noted.clone();
    flipped[0] ^= 1;
    for damaged in [&flipped[..], &noted[..noted.len() - 1], &[&noted[..], b"\n"].concat(), b"\0"] {
        prefix.put(note, damaged);
        assert!(!open().is_noted_committed(1), "{}", String::from_utf8_lossy(damaged));
    }
    prefix.put(note, noted.clone());
    assert!(open().is_noted_committed(1), "it was the damage");
    // Another life of the pipeline, whose first epoch has the number of the one before.
    state.forget_before(&Checkpoint { epoch: 2, ..checkpoint(4) }).unwrap();
    assert_eq!(prefix.names(), Vec::<String>::new());
    let next = open();
    next.put(&checkpoint(4)).unwrap();
    prefix.put(note, noted);
    assert!(!next.is_noted_committed(1), "a note that outlived its checkpoint");
    next.note_committed(1);
    assert!(open().is_noted_committed(1));
    // A checkpoint that is damaged has no digest to compare.
    prefix.put("state/p/epoch-0000000001.json", "{\"wasmill_checkpoint\":1");
    assert!(!open().is_noted_committed(1));
}

store::on_each_store![
    small_and_large_files_are_read_by_another_process_until_they_are_removed,
    a_file_that_is_removed_before_it_is_sealed_is_gone,
    a_file_that_was_touched_is_never_taken_for_whole,
    cleaning_takes_objects_and_uploads_of_processes_that_ended_and_spares_all_others,
    clearing_the_state_takes_its_files_and_nothing_of_others,
    notes_of_uploads_pass_to_the_life_that_a_reset_begins,
    a_note_says_nothing_if_it_is_damaged_or_of_another_checkpoint,
];
