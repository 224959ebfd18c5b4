//! Readers that are opened far behind the start of something that can only be read from its start: they pass over it in steps.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use wasmill_delta::{DeltaSource, DeltaSourceConfig};
use wasmill_engine::{Mode, Progress, Read, Source, Split, SplitReader};
use wasmill_files::{FilesConfig, FilesSource};

const LINE: &[u8] = b"{\"id\":12345678}\n";

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("text", DataType::Utf8, true)]))
}

fn files(path: &Path) -> FilesSource {
    FilesSource::new("pins", FilesConfig::of_path(path.to_str().unwrap()), schema(), Mode::Batch).unwrap()
}

/// The only split of a source, with a number in its position that says how far an earlier run has read.
fn split(source: &mut dyn Source, key: &str, read: u64) -> Split {
    let mut splits = source.discover(&Progress::new()).unwrap().splits;
    assert_eq!(splits.len(), 1);
    let mut split = splits.remove(0);
    split.position[key] = read.into();
    split
}

/// Reads to the end: the ids, and how often it was on its way. No step takes long, and the position stays until it is there.
fn read(mut reader: Box<dyn SplitReader>, at: &serde_json::Value) -> (Vec<i64>, usize) {
    let (mut ids, mut steps) = (Vec::new(), 0);
    loop {
        let begun = Instant::now();
        match reader.read(8_192).unwrap() {
            Read::Batch(batch) => ids.extend(batch.batch.records.column(0).as_primitive::<Int64Type>().values()),
            Read::Skipping => {
                steps += 1;
                assert!(ids.is_empty(), "it skips before it gives rows");
                assert_eq!(reader.position(), *at, "what it passes over was read before");
                assert!(begun.elapsed() < Duration::from_secs(2), "a step took {:?}", begun.elapsed());
            }
            Read::Idle => panic!("there is always something to do"),
            Read::End => return (ids, steps),
        }
    }
}

#[test]
fn a_compressed_file_is_unpacked_up_to_its_position_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let part = LINE.repeat(1 << 20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&part).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&part[..], 1).unwrap();
    for (name, packed, parts) in [("a.jsonl.gz", gzip, 32), ("a.jsonl.zst", zstd, 128)] {
        let path = folder.path().join(name);
        std::fs::write(&path, packed.repeat(parts)).unwrap();
        let all = (parts * part.len()) as u64;
        let mut source = files(&path);
        let split = split(&mut source, "offset", all - 3 * LINE.len() as u64);
        let (ids, steps) = read(source.opener().open(&split).unwrap(), &split.position);
        assert_eq!(ids, [12_345_678; 3], "{name}");
        assert!(steps > 1, "{name} was unpacked in {steps} steps");
        // A file that is shorter than what was read of it has changed.
        let mut source = files(&path);
        let split = self::split(&mut source, "offset", all + 1);
        let mut reader = source.opener().open(&split).unwrap();
        let error = loop {
            match reader.read(100) {
                Err(error) => break error,
                Ok(read) => assert!(matches!(read, Read::Skipping), "{read:?}"),
            }
        };
        assert!(error.message().contains("changed since it was read"), "{error}");
    }
}

/// One row group of so many rows, with texts, which take longer than numbers.
fn parquet(path: &Path, rows: i64) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows as usize)).build();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), schema(), Some(properties)).unwrap();
    for first in (0..rows).step_by(1 << 20) {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(first..rows.min(first + (1 << 20))));
        let texts = (first..rows.min(first + (1 << 20))).map(|id| format!("a text of some length, number {}", id % 500));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        writer.write(&RecordBatch::try_new(schema(), vec![ids, texts]).unwrap()).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn rows_of_a_large_row_group_are_passed_over_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rows) = (folder.path().join("a.parquet"), 8 << 20);
    parquet(&path, rows);
    let mut source = files(&path);
    let split = split(&mut source, "offset", rows as u64 - 10_003);
    let (ids, steps) = read(source.opener().open(&split).unwrap(), &split.position);
    assert_eq!(ids, (rows - 10_003..rows).collect::<Vec<_>>());
    assert!(steps > 0, "they were passed over in one step");
}

#[test]
fn rows_of_a_large_file_of_a_table_are_passed_over_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rows) = (folder.path().join("a.parquet"), 8 << 20);
    parquet(&path, rows);
    let size = std::fs::metadata(&path).unwrap().len();
    let columns = r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}},{\"name\":\"text\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}]}"#;
    let log = format!(
        r#"{{"protocol":{{"minReaderVersion":1,"minWriterVersion":2}}}}
{{"metaData":{{"id":"5a1b8f7e-0000-4000-8000-000000000001","format":{{"provider":"parquet","options":{{}}}},"schemaString":"{columns}","partitionColumns":[],"configuration":{{}},"createdTime":0}}}}
{{"add":{{"path":"a.parquet","partitionValues":{{}},"size":{size},"modificationTime":0,"dataChange":true,"stats":"{{\"numRecords\":{rows}}}"}}}}
"#
    );
    std::fs::create_dir(folder.path().join("_delta_log")).unwrap();
    std::fs::write(folder.path().join("_delta_log/00000000000000000000.json"), log).unwrap();
    let config = DeltaSourceConfig { uri: folder.path().to_str().unwrap().into(), ..DeltaSourceConfig::default() };
    let mut source = DeltaSource::new("rows", config, schema(), Mode::Batch).unwrap();
    let split = split(&mut source, "row", rows as u64 - 10_003);
    let (ids, steps) = read(source.opener().open(&split).unwrap(), &split.position);
    assert_eq!(ids, (rows - 10_003..rows).collect::<Vec<_>>());
    assert!(steps > 0, "they were passed over in one step");
}
