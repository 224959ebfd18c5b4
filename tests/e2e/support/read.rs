//! Reads back what a pipeline wrote, with readers that are not ours.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{Workshop, dead_number, expected, repository, row_number};

impl Workshop {
    /// The rows of a Delta table, by the Python package `deltalake`; none if there is no table.
    pub fn delta_rows(&self, table: &str) -> Vec<Value> {
        let path = self.path(table);
        if !path.join("_delta_log").exists() {
            return Vec::new();
        }
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
        let script = repository().join("tests/foreign/read_delta.py");
        let output = Command::new(&python).arg(script).arg(&path).output().unwrap_or_else(|error| panic!("{python}: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json_lines(&output.stdout)
    }

    /// The rows of a Delta table, by DuckDB's own reader of Parquet over the files that its log names. Timestamps are microseconds.
    pub fn duckdb_rows(&self, table: &str) -> Vec<Value> {
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with duckdb: `make test` sets it");
        let script = repository().join("tests/foreign/duckdb_delta.py");
        let output = Command::new(&python).arg(script).arg(self.path(table)).output().unwrap_or_else(|error| panic!("{python}: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json_lines(&output.stdout)
    }

    /// The rows of the CSV files of a folder, by DuckDB: every value is a text or null.
    pub fn csv_rows(&self, folder: &str) -> Vec<Value> {
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with duckdb: `make test` sets it");
        let script = repository().join("tests/foreign/duckdb_csv.py");
        let output = Command::new(&python).arg(script).arg(self.path(folder)).output().unwrap_or_else(|error| panic!("{python}: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        json_lines(&output.stdout)
    }

    /// The rows of a Delta table, as [`Self::duckdb_rows`] reads them; none if there is no table.
    pub fn duckdb_rows_if_any(&self, table: &str) -> Vec<Value> {
        if self.path(table).join("_delta_log").exists() { self.duckdb_rows(table) } else { Vec::new() }
    }

    /// The column `ind` of a Delta table, sorted, with repetitions.
    pub fn delta_numbers(&self, table: &str) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.delta_rows(table).iter().map(row_number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The table and the dead letters, where most pipelines here write them, hold exactly the rows of the first posts.
    pub fn check_posts(&self, posts: u64) {
        expected(0..posts).check(&self.delta_rows("out/pin_table"), &self.jsonl_rows("out/dead_letters"));
        assert_eq!(self.parquet_files("out/pin_table"), self.delta_file_count("out/pin_table"), "stray files beside the table's own");
    }

    /// The lines of all files of a folder.
    pub fn text_lines(&self, folder: &str) -> Vec<String> {
        let text = |file: std::path::PathBuf| std::fs::read_to_string(file).unwrap();
        visible_files(&self.path(folder)).into_iter().flat_map(|file| text(file).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// The rows of all JSON-lines files that a reader of the folder sees.
    pub fn jsonl_rows(&self, folder: &str) -> Vec<Value> {
        visible_files(&self.path(folder)).iter().flat_map(|file| json_lines(&std::fs::read(file).unwrap())).collect()
    }

    /// The rows of all JSON-lines files below a folder, with the texts that the names of their folders give.
    pub fn partitioned_rows(&self, folder: &str) -> Vec<Value> {
        let root = self.path(folder);
        let mut rows = Vec::new();
        for file in visible_files(&root) {
            let folders = file.parent().unwrap().strip_prefix(&root).unwrap().to_str().unwrap();
            let named: Vec<(&str, &str)> = folders.split('/').map(|name| name.split_once('=').unwrap()).collect();
            for mut row in json_lines(&std::fs::read(&file).unwrap()) {
                for (column, value) in &named {
                    let before = row.as_object_mut().unwrap().insert((*column).to_owned(), (*value).into());
                    assert_eq!(before, None, "a column of a partition stands in the file, too: {}", file.display());
                }
                rows.push(row);
            }
        }
        rows
    }

    /// The numbers of the posts in dead letters, sorted, with repetitions: from the original records.
    pub fn dead_numbers(&self, folder: &str) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.jsonl_rows(folder).iter().map(dead_number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The Parquet files in the top folder of a table.
    pub fn parquet_files(&self, table: &str) -> usize {
        let files = visible_files(&self.path(table));
        files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "parquet")).count()
    }

    /// The files that the newest version of a Delta table refers to, by their names from its folder; none if there is no table.
    pub fn delta_files(&self, table: &str) -> Vec<String> {
        let path = self.path(table);
        if !path.join("_delta_log").exists() {
            return Vec::new();
        }
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
        let script = "import sys, json, deltalake; print(json.dumps([uri.removeprefix(sys.argv[1] + '/') for uri in deltalake.DeltaTable(sys.argv[1]).file_uris()]))";
        let output = Command::new(python).args(["-c", script]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// How many files the newest version of a Delta table refers to.
    pub fn delta_file_count(&self, table: &str) -> usize {
        self.delta_files(table).len()
    }
}

/// JSON values, one behind the other.
pub fn json_lines(bytes: &[u8]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(bytes).into_iter().collect::<Result<_, _>>().unwrap()
}

/// Files that do not begin with `.` or `_`, and are not in a folder that does.
fn visible_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(['.', '_']) {
            continue;
        }
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(visible_files(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files.sort();
    files
}
