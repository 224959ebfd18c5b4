//! How files of lines are cut, and cut again by later runs. No file is read here: what they hold is a hole behind the first line.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow_schema::{DataType, Field, Schema};
use wasmill_reading::Position;

use super::*;

const MIB: u64 = 1 << 20;

fn set_size(path: &Path, size: u64) {
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    if file.metadata().unwrap().len() == 0 {
        file.write_all(b"{\"id\":1}\n").unwrap();
    }
    file.set_len(size).unwrap();
}

fn source(pattern: &Path, mode: Mode) -> FilesSource {
    let config = serde_json::from_value(serde_json::json!({ "path": pattern })).unwrap();
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    FilesSource::new("lines", config, Arc::new(schema), mode).unwrap()
}

/// The splits of a source as file name, part, and where in MiB reading begins.
fn cut(source: &mut FilesSource, progress: &Progress) -> Vec<(String, u64)> {
    let splits = source.discover(progress).unwrap().splits;
    let named = |split: Split| {
        let name = split.id.rsplit('/').next().unwrap().to_owned();
        (name, Position::from_value(&split.position).unwrap().offset)
    };
    splits.into_iter().map(named).collect()
}

/// Progress in which all that is listed has been read up.
fn read_up(source: &mut FilesSource) -> Progress {
    let splits = source.discover(&Progress::new()).unwrap().splits;
    let read = splits.into_iter().map(|split| {
        let (_, part) = splits::parse_name(&split.id).unwrap();
        let mut position = Position::from_value(&split.position).unwrap();
        position.offset = part.lines().map_or(position.file.size, |lines| lines.end.min(position.file.size));
        (split.id, SplitState { position: position.to_value(), done: true })
    });
    read.collect()
}

/// The same in records: no entry is left in the checkpoint.
fn retired(source: &FilesSource, progress: &Progress) -> Retired {
    let mut records = Vec::new();
    for (id, state) in progress {
        assert!(source.retire(id, state, &mut records).unwrap());
    }
    Retired::new(record::FORM, &records).unwrap()
}

fn at(names: &[&str]) -> Vec<(String, u64)> {
    names.iter().map(|name| ((*name).to_owned(), name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap())).collect()
}

#[test]
fn the_end_of_the_last_file_of_a_batch_is_cut_into_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = folder.path().join("*.jsonl");
    set_size(&folder.path().join("a.jsonl"), 20 * MIB);
    set_size(&folder.path().join("b.jsonl"), 90 * MIB);
    let starts: Vec<u64> = (32..90).step_by(4).map(|start| start * MIB).collect();
    let mut expected = at(&["a.jsonl@0", "a.jsonl@16777216", "b.jsonl@0", "b.jsonl@16777216"]);
    expected.extend(starts.iter().map(|start| (format!("b.jsonl@piece{start}"), *start)));
    assert_eq!(cut(&mut source(&pattern, Mode::Batch), &Progress::new()), expected);
    let whole = at(&["a.jsonl@0", "a.jsonl@16777216", "b.jsonl@0", "b.jsonl@16777216", "b.jsonl@33554432"]);
    assert_eq!(cut(&mut source(&pattern, Mode::Stream), &Progress::new())[..5], whole, "a stream has no end");
}

#[test]
fn what_was_cut_into_pieces_stays_so_and_what_was_not_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    set_size(&path, 9 * MIB);
    let pieces = read_up(&mut source(&path, Mode::Batch));
    assert_eq!(pieces.len(), 3);
    let (_, tail) = pieces.iter().next_back().unwrap();
    let tail = Position::from_value(&tail.position).unwrap();
    assert_eq!(tail.offset, 9 * MIB);
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(tail.offset - 1).unwrap();
    File::options().append(true).open(&path).unwrap().write_all(b"\n").unwrap();
    // It has grown into the next split.
    set_size(&path, 21 * MIB);
    let mut grown = vec![("a.jsonl@piece8388608".to_owned(), 9 * MIB)];
    grown.extend(at(&["a.jsonl@piece12582912", "a.jsonl@piece16777216", "a.jsonl@piece20971520"]));
    assert_eq!(cut(&mut source(&path, Mode::Batch), &pieces), grown);
    let mut later = source(&path, Mode::Batch);
    later.restore(retired(&later, &pieces));
    assert_eq!(cut(&mut later, &Progress::new()), grown, "by records alone");
    let mut followed = source(&path, Mode::Stream);
    let mut in_stream = grown[..2].to_vec();
    in_stream.extend(at(&["a.jsonl@16777216"]));
    assert_eq!(cut(&mut followed, &pieces), in_stream, "a stream cuts what no one has begun into splits");

    let other = folder.path().join("b.jsonl");
    set_size(&other, 9 * MIB);
    let split = read_up(&mut source(&other, Mode::Stream));
    assert_eq!(split.keys().map(|id| id.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>(), ["b.jsonl@0"]);
    File::options().write(true).open(&other).unwrap().set_len(9 * MIB - 1).unwrap();
    File::options().append(true).open(&other).unwrap().write_all(b"\n").unwrap();
    set_size(&other, 17 * MIB);
    let grown = [("b.jsonl@0".to_owned(), 9 * MIB), ("b.jsonl@piece16777216".to_owned(), 16 * MIB)];
    assert_eq!(cut(&mut source(&other, Mode::Batch), &split), grown);
    let mut later = source(&other, Mode::Batch);
    later.restore(retired(&later, &split));
    assert_eq!(cut(&mut later, &Progress::new()), grown, "by records alone");
}

#[test]
fn a_stream_follows_the_pieces_that_a_batch_began() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    set_size(&path, 9 * MIB - 1);
    File::options().append(true).open(&path).unwrap().write_all(b"\n").unwrap();
    let pieces = read_up(&mut source(&path, Mode::Batch));
    let mut followed = source(&path, Mode::Stream);
    followed.follow = Duration::ZERO;
    assert_eq!(cut(&mut followed, &pieces), [("a.jsonl@piece8388608".to_owned(), 9 * MIB)]);
    set_size(&path, 30 * MIB);
    assert_eq!(cut(&mut followed, &pieces), at(&["a.jsonl@piece12582912", "a.jsonl@16777216"]));
    set_size(&path, 40 * MIB);
    assert_eq!(cut(&mut followed, &pieces), at(&["a.jsonl@33554432"]));
}

#[test]
fn a_file_that_has_become_shorter_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    set_size(&path, 9 * MIB);
    let pieces = read_up(&mut source(&path, Mode::Batch));
    File::options().write(true).open(&path).unwrap().set_len(3 * MIB).unwrap();
    for progress in [pieces.clone(), Progress::new()] {
        let mut later = source(&path, Mode::Batch);
        later.restore(retired(&later, &pieces));
        let error = later.discover(&progress).map(|found| found.splits.len()).unwrap_err();
        assert!(error.to_string().contains("changed since it was read"), "{error}");
    }
}
