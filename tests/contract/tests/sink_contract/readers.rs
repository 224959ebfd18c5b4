//! Reads back what sinks wrote, with other code than theirs.

// Each test program uses a part of them.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use delta_kernel::Snapshot;
use delta_kernel::scan::state::ScanFile;
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::storage::store_from_url;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The batches of a Parquet file.
pub fn parquet_batches(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().to_vec()).collect()
}

/// A file of a Delta table.
pub struct TableFile {
    /// Its rows, without the partition columns.
    pub batches: Vec<RecordBatch>,
    /// What the log says of its rows.
    pub rows: Option<usize>,
    /// Its partition values; one that is null is not there.
    pub partition_values: BTreeMap<String, String>,
}

/// The version and the files of a table, as the Delta kernel reads them; none if there is no table.
pub fn delta_table(place: &Path) -> Option<(u64, Vec<TableFile>)> {
    if !place.join("_delta_log").exists() {
        return None;
    }
    let url = url::Url::from_directory_path(place).unwrap();
    let engine = DefaultEngineBuilder::new(store_from_url(&url).unwrap()).build();
    let snapshot = Snapshot::builder_for(&url).build(&engine).unwrap();
    let (version, mut files) = (snapshot.version(), Vec::new());
    for batch in snapshot.scan_builder().build().unwrap().scan_metadata(&engine).unwrap() {
        files = batch.unwrap().visit_scan_files(files, |files: &mut Vec<ScanFile>, file| files.push(file)).unwrap();
    }
    let files = files.into_iter().map(|file| {
        let path = url.join(&file.path).unwrap().to_file_path().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len() as i64, file.size, "{}", path.display());
        let rows = file.stats.map(|stats| stats.num_records as usize);
        TableFile { batches: parquet_batches(&path), rows, partition_values: file.partition_values.into_iter().collect() }
    });
    let files = files.collect();
    Some((version, files))
}

/// The numbers in a Delta table, each file's count checked against the log's.
pub fn delta_numbers(place: &Path) -> Vec<i64> {
    let Some((_, files)) = delta_table(place) else { return Vec::new() };
    let mut all = Vec::new();
    for file in files {
        let numbers = numbers(&file.batches);
        assert_eq!(file.rows, Some(numbers.len()));
        all.extend(numbers);
    }
    all
}

/// The numbers in the files of a folder that are not hidden, and in those of its partitions.
pub fn file_numbers(place: &Path) -> Vec<i64> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(place).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            assert!(name.contains('='), "a folder that names no partition: {name}");
            all.extend(file_numbers(&path));
        } else if name.ends_with(".parquet") {
            all.extend(numbers(&parquet_batches(&path)));
        } else if name.ends_with(".jsonl") {
            let text = std::fs::read_to_string(&path).unwrap();
            all.extend(text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["n"].as_i64().unwrap()));
        } else if name.ends_with(".csv.gz") {
            let mut text = String::new();
            flate2::read::GzDecoder::new(File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines[0], "n,kind");
            all.extend(lines[1..].iter().map(|line| line.split(',').next().unwrap().parse::<i64>().unwrap()));
        } else {
            panic!("a file that nobody expects: {name}");
        }
    }
    all
}
