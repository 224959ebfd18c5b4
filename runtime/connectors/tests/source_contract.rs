//! The contract suite over every source: `files` in every format and compression, `emulator` in every table.

mod contract;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use contract::{check_source, read_all};
use wasmill_connectors::emulator::{Dirt, EmulatorConfig, EmulatorSource, Level, PARTITION_COLUMN, POSITION_COLUMN, Table};
use wasmill_connectors::files::source::{FilesConfig, FilesSource};
use wasmill_engine::{Mode, Progress, Source};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("_source.path", DataType::Utf8, false),
        Field::new("id", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
        Field::new("_source.position", DataType::Int64, false),
    ]))
}

fn source(path: &Path) -> Box<dyn Source> {
    let config = FilesConfig::of_path(path.to_str().unwrap());
    Box::new(FilesSource::new("pins", config, schema(), Mode::Batch).unwrap())
}

/// Lines with blank ones, bad ones, both line ends, characters of several bytes and no line feed at the end.
fn lines() -> Vec<u8> {
    let mut text = b"\xef\xbb\xbf".to_vec();
    for id in 0..60 {
        match id % 10 {
            3 => text.extend_from_slice(b"\n  \r\n"),
            5 => text.extend_from_slice(b"{\"id\": 5, \"text\": \"bad \xff byte\"}\r\n"),
            7 => text.extend_from_slice(b"{\"id\": \"seven\"}\n"),
            _ => writeln!(text, "{{\"id\": {id}, \"text\": \"\u{fc}\u{1f600} {id}\", \"else\": [{id}]}}").unwrap(),
        }
    }
    text.extend_from_slice(b"{\"id\": 1000}");
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    // Two members, as `cat a.gz b.gz` makes them.
    let half = bytes.len() / 2;
    [&bytes[..half], &bytes[half..]]
        .iter()
        .flat_map(|part| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap()
        })
        .collect()
}

fn write(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn json_lines_plain_and_compressed_hold_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("a.jsonl", lines()), ("a.jsonl.gz", gzip(&lines())), ("a.jsonl.zst", zstd::encode_all(&lines()[..], 1).unwrap())];
    let mut read = Vec::new();
    for (name, bytes) in files {
        let path = write(&folder, name, &bytes);
        let all = check_source(|| source(&path));
        assert_eq!(all.len(), 1);
        let records: Vec<_> =
            all.into_values().flatten().map(|(_, position, record)| (position, record.replace(path.to_str().unwrap(), ""))).collect();
        assert_eq!(records.len(), 55);
        assert_eq!(records.iter().filter(|(_, record)| record.starts_with("invalid-utf8")).count(), 6);
        assert_eq!(records.iter().filter(|(_, record)| record.starts_with("bad-value")).count(), 6);
        read.push(records);
    }
    assert!(read.iter().all(|records| *records == read[0]), "compression changes nothing");
    assert!(read[0][0].1.contains("\"_source.position\":3"), "{:?}", read[0][0]);
}

#[test]
fn many_files_are_many_splits() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["c.jsonl", "a.jsonl", "b.jsonl"] {
        write(&folder, name, &lines());
    }
    write(&folder, ".hidden.jsonl", b"{}\n");
    let all = check_source(|| source(&folder.path().join("*.jsonl")));
    let names: Vec<_> = all.keys().map(|name| name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["a.jsonl@0", "b.jsonl@0", "c.jsonl@0"]);
}

#[test]
fn a_large_file_is_split_where_records_begin() {
    let folder = tempfile::tempdir().unwrap();
    let split = 32 << 20;
    // The first boundary lies in a record, the second one right at the start of a record.
    let mut text = Vec::new();
    let filler = "x".repeat(700_000);
    let mut id = 0;
    while text.len() < 2 * split + split / 2 {
        let line = format!("{{\"id\":{id},\"skip\":\"{filler}\"}}\n");
        if text.len() < 2 * split && text.len() + 2 * line.len() > 2 * split {
            let missing = 2 * split - text.len() - "{\"id\":-1,\"skip\":\"\"}\n".len();
            writeln!(text, "{{\"id\":-1,\"skip\":\"{}\"}}", "y".repeat(missing)).unwrap();
            assert_eq!(text.len(), 2 * split);
        }
        text.extend_from_slice(line.as_bytes());
        id += 1;
    }
    let path = write(&folder, "a.jsonl", &text);
    let mut source = source(&path);
    let splits = source.discover(&Progress::new()).unwrap().splits;
    assert_eq!(splits.len(), 3);
    let mut starts = Vec::new();
    for split in &splits {
        let mut reader = source.open(split).unwrap();
        let (records, _) = read_all(source.as_ref(), reader.as_mut(), 10);
        starts.push((records[0].1, records.len()));
    }
    assert_eq!(starts.iter().map(|(_, count)| count).sum::<usize>(), id + 1);
    assert!(starts[1].0 > split as u64 && starts[2].0 == 2 * split as u64, "{starts:?}");
}

#[test]
fn emulated_tables_hold_the_contract() {
    for table in Table::ALL {
        let config = EmulatorConfig { table, rows: Some(300), rate: None, seed: 7, dirt: Dirt::Level(Level::Heavy) };
        let reserved = [(PARTITION_COLUMN, DataType::Utf8), (POSITION_COLUMN, DataType::Int64)]
            .map(|(name, kind)| Arc::new(Field::new(name, kind, false)));
        let schema = Arc::new(Schema::new(table.schema().fields().iter().cloned().chain(reserved).collect::<Vec<_>>()));
        let all = check_source(|| Box::new(EmulatorSource::new("rows", &config, Arc::clone(&schema), Mode::Batch).unwrap()));
        let counts: Vec<_> = all.into_iter().map(|(split, records)| (split, records.len())).collect();
        assert_eq!(counts, [(format!("{table}/0"), 300)]);
    }
}
