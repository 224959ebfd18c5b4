//! The contract suite over every source: `files` in every format and compression, `emulator` in every table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use wasmill_contract as contract;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int16Array, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use contract::{Seen, check_source, read_all};
use wasmill_emulator::{Dirt, EmulatorConfig, EmulatorSource, Level, PARTITION_COLUMN, POSITION_COLUMN, Table};
use wasmill_engine::{Mode, Progress, Source, SplitState};
use wasmill_files::{FilesConfig, FilesSource};
use wasmill_formats::{Format, WriteOptions, record_writer};
use wasmill_reading::OnBadFile;

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

/// The `id` of each row and the code of each reject, in order.
fn ids(all: BTreeMap<String, Vec<Seen>>) -> Vec<String> {
    let name = |record: String| match record.strip_prefix('{').and_then(|row| row.split("\"id\":").nth(1)) {
        Some(id) => id.split(',').next().unwrap_or_default().to_owned(),
        None => record.split(' ').next().unwrap_or_default().to_owned(),
    };
    all.into_values().flatten().map(|(.., record)| name(record)).collect()
}

#[test]
fn csv_plain_and_compressed_holds_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = b"\xef\xbb\xbftext,else,id\r\n".to_vec();
    for id in 0..40 {
        match id % 10 {
            3 => text.extend_from_slice(b"\"two\nlines, \"\"quoted\"\"\",,3\n\n"),
            5 => text.extend_from_slice(b"bad \xff byte,,5\n"),
            6 => text.extend_from_slice(b"too few,6\n"),
            7 => text.extend_from_slice(b"bad number,,seven\r\n"),
            8 => text.extend_from_slice(b",,\n"),
            _ => writeln!(text, "\u{fc}\u{1f600},x,{id}").unwrap(),
        }
    }
    text.extend_from_slice(b"\"never closed,,1\n2\n");
    let files = [("a.csv", text.clone()), ("a.csv.gz", gzip(&text)), ("a.csv.zst", zstd::encode_all(&text[..], 1).unwrap())];
    for (name, bytes) in files {
        let path = write(&folder, name, &bytes);
        let all = check_source(|| source(&path));
        assert_eq!(all.keys().next().unwrap().rsplit('@').next(), Some("all"));
        let records = ids(all);
        let expected = ["0", "1", "2", "3", "4", "invalid-utf8", "field-count", "bad-value", "null", "9", "10"];
        assert_eq!(records[..11], expected);
        assert_eq!((records.len(), records[40].as_str(), records[41].as_str()), (42, "malformed-csv", "field-count"));
    }
    let path = write(&folder, "cr.csv", b"text,id\ra,1\r\r\"b\nc\",2\rd,x\re,4");
    assert_eq!(ids(check_source(|| source(&path))), ["1", "2", "bad-value", "4"]);
    // By lines, what is in two lines is two bad records, and the quote that is never closed costs its line only.
    let path = write(&folder, "lines.csv", &text);
    let splittable = || -> Box<dyn Source> {
        let mut config = FilesConfig::of_path(path.to_str().unwrap());
        config.csv.splittable = true;
        Box::new(FilesSource::new("pins", config, schema(), Mode::Batch).unwrap())
    };
    let records = ids(check_source(splittable));
    assert_eq!((records.len(), records[3].as_str(), records[4].as_str()), (46, "malformed-csv", "field-count"));
}

#[test]
fn json_arrays_plain_and_compressed_hold_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = b"\xef\xbb\xbf [\n".to_vec();
    for id in 0..40 {
        match id % 10 {
            5 => text.extend_from_slice(b"{\"id\": 5, \"text\": \"bad \xff byte\"},"),
            6 => text.extend_from_slice(b"{\"id\": 6, \"text\": \"a raw\nline feed\"}\n,\n"),
            7 => text.extend_from_slice(b"17,"),
            8 => text.extend_from_slice(b"{\"id\" 8},"),
            _ => writeln!(text, "{{\"id\": {id}, \"text\": \"]}}\\\"{{[\", \"else\": [[{id}]]}},").unwrap(),
        }
    }
    let mut whole = text.clone();
    whole.extend_from_slice(b"{} ]\n");
    let files = [("a.json", whole.clone()), ("a.json.gz", gzip(&whole)), ("a.json.zst", zstd::encode_all(&whole[..], 1).unwrap())];
    let expected = ["0", "1", "2", "3", "4", "invalid-utf8", "malformed-json", "wrong-type", "malformed-json", "9", "10"];
    for (name, bytes) in files {
        let path = write(&folder, name, &bytes);
        let records = ids(check_source(|| source(&path)));
        assert_eq!(records[..11], expected);
        assert_eq!((records.len(), records[40].as_str()), (41, "null"));
    }
    // What breaks the array costs no other element.
    text.extend_from_slice(
        b"{\"id\": 40} {\"id\": 41},, \n{\"id\": 42, \"text\": \"open},\n{\"id\": 43},\n{\"id\": {},\n{\"id\": 44}] \n [{\"id\": 45}]",
    );
    let path = write(&folder, "broken.json", &text);
    let records = ids(check_source(|| source(&path)));
    assert_eq!(records[40..], ["40", "41", "malformed-json", "43", "malformed-json", "44", "45"]);
}

#[test]
fn damaged_files_that_are_set_aside_hold_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = gzip(&lines());
    packed.truncate(packed.len() - 5);
    let files = [
        ("unclosed.json", b"[{\"id\": 1}, {\"id\": 2}, {\"id\":".to_vec(), vec!["1", "2", "bad-file"]),
        ("garbage.jsonl.gz", b"no gzip".to_vec(), vec!["bad-file"]),
        ("gzip.jsonl", gzip(b"{}"), vec!["bad-file"]),
        ("damaged.parquet", b"PAR1 and nothing".to_vec(), vec!["bad-file"]),
    ];
    let aside = |path: &Path| -> Box<dyn Source> {
        let config = FilesConfig { on_bad_file: OnBadFile::SetAside, ..FilesConfig::of_path(path.to_str().unwrap()) };
        Box::new(FilesSource::new("pins", config, schema(), Mode::Batch).unwrap())
    };
    for (name, bytes, expected) in files {
        let path = write(&folder, name, &bytes);
        let mut make = aside(&path);
        let splits = make.discover(&Progress::new()).unwrap().splits;
        assert_eq!(splits.len(), 1, "{name}");
        let opener = make.opener();
        for rows in [1, 100] {
            let (records, positions) = read_all(make.as_ref(), opener.open(&splits[0]).unwrap().as_mut(), rows);
            assert_eq!(ids(BTreeMap::from([(name.to_owned(), records.clone())])), expected, "{name}");
            for (seen, position) in positions {
                let state = SplitState { position, done: false };
                let mut next = aside(&path);
                let found = next.discover(&Progress::from([(splits[0].id.clone(), state)])).unwrap().splits;
                let rest = match found.first() {
                    Some(split) => read_all(next.as_ref(), next.opener().open(split).unwrap().as_mut(), 100).0,
                    None => Vec::new(),
                };
                assert_eq!(rest, records[seen..], "{name}: a damaged file is noted once");
            }
        }
    }
    let path = write(&folder, "cut.jsonl.gz", &packed);
    let mut source = aside(&path);
    let split = source.discover(&Progress::new()).unwrap().splits.remove(0);
    let (records, _) = read_all(source.as_ref(), source.opener().open(&split).unwrap().as_mut(), 100);
    let codes = ids(BTreeMap::from([("cut".to_owned(), records)]));
    assert!(codes.len() > 30 && codes.last().unwrap() == "bad-file", "what can be unpacked is kept: {codes:?}");
}

#[test]
fn parquet_holds_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("else", Arc::new(Int64Array::from_iter_values(0..50))),
        ("text", Arc::new(StringViewArray::from_iter((0..50).map(|id| (id % 3 > 0).then(|| format!("\u{fc} {id}")))))),
        // Narrower than what is asked for.
        ("id", Arc::new(Int16Array::from_iter_values(0..50))),
    ];
    let records = RecordBatch::try_from_iter(columns).unwrap();
    let mut options = WriteOptions::default();
    options.parquet.row_group_rows = 20;
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = record_writer(Format::Parquet, records.schema_ref(), file, &options).unwrap();
    writer.write(&records).unwrap();
    writer.finish().unwrap();
    let all = check_source(|| source(&path));
    let names: Vec<_> = all.keys().map(|name| name.rsplit('@').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["group0", "group1", "group2"]);
    assert!(
        all.values()
            .flatten()
            .enumerate()
            .all(|(row, (_, position, record))| { *position == row as u64 && record.contains(&format!("\"_source.position\":{row}")) })
    );
    assert_eq!(ids(all), (0..50).map(|id| id.to_string()).collect::<Vec<_>>());
}

#[test]
fn rows_of_parquet_that_do_not_convert_are_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let texts = ["1", "two", "3"].into_iter().cycle().take(30);
    let records = RecordBatch::try_from_iter([("id", Arc::new(StringArray::from_iter_values(texts)) as ArrayRef)]).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = record_writer(Format::Parquet, records.schema_ref(), file, &WriteOptions::default()).unwrap();
    writer.write(&records).unwrap();
    writer.finish().unwrap();
    let all = check_source(|| source(&path));
    let records: Vec<&Seen> = all.values().flatten().collect();
    assert_eq!(records.len(), 30);
    assert_eq!((records[1].1, records[1].2.as_str()), (1, "bad-value Some(\"id\") <- {\"id\":\"two\"}"));
    assert!(records[2].1 == 2 && records[2].2.contains("\"id\":3,\"text\":null,\"_source.position\":2"), "{:?}", records[2]);
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
    let split = 16 << 20;
    let piece = 4 << 20;
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
    assert_eq!(splits.len(), text.len().div_ceil(piece));
    let mut starts = Vec::new();
    for split in &splits {
        let mut reader = source.opener().open(split).unwrap();
        let (records, _) = read_all(source.as_ref(), reader.as_mut(), 10);
        // The last one may hold nothing but the end of a record.
        starts.push((records.first().map_or(0, |record| record.1), records.len()));
    }
    assert_eq!(starts.iter().map(|(_, count)| count).sum::<usize>(), id + 1);
    assert!(starts[4].0 > split as u64 && starts[8].0 == 2 * split as u64, "{starts:?}");
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
