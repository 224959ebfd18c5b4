//! Reads back what sinks wrote, with other code than theirs.

// Each test program uses a part of them.
#![allow(dead_code)]

use std::fs::File;
use std::io::Read;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use deltalake_core::kernel::scalars::ScalarExt;
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
    /// Its partition values.
    pub partition_values: Vec<(String, String)>,
}

/// Opens a table with the Delta library; none if there is none.
pub fn delta_table(place: &Path) -> Option<(deltalake_core::DeltaTable, Vec<TableFile>)> {
    if !place.join("_delta_log").exists() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = url::Url::from_directory_path(place).unwrap();
    let table = runtime.block_on(deltalake_core::open_table(url)).unwrap();
    let files = table
        .snapshot()
        .unwrap()
        .log_data()
        .iter()
        .map(|file| {
            let path = place.join(file.object_store_path().as_ref());
            assert_eq!(std::fs::metadata(&path).unwrap().len() as i64, file.size(), "{}", path.display());
            let values = file.partition_values().map(|values| {
                let pairs = values.fields().iter().zip(values.values());
                pairs.map(|(field, value)| (field.name().clone(), value.serialize())).collect()
            });
            TableFile { batches: parquet_batches(&path), rows: file.num_records(), partition_values: values.unwrap_or_default() }
        })
        .collect();
    Some((table, files))
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

/// The numbers in the files of a folder that are not hidden.
pub fn file_numbers(place: &Path) -> Vec<i64> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(place).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('.') {
            continue;
        }
        if name.ends_with(".parquet") {
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
