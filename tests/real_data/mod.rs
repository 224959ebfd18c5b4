//! The plugins over real rows, which are not part of the repository: `WASMILL_REAL_DATA` names the folder that holds `raw/` and `golden/`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wasmill_plugin::{Plugin, testing, time};

/// One table of the real rows.
pub struct Table {
    /// Its name in the files' names.
    pub name: &'static str,
    /// The column that that pipeline wrote as another text for the same time.
    pub time: Option<&'static str>,
    /// A column that the plugin does not ask for: a source would not decode it either.
    pub unneeded: Option<&'static str>,
}

fn real_data() -> PathBuf {
    std::env::var_os("WASMILL_REAL_DATA").map(PathBuf::from).expect("WASMILL_REAL_DATA names the folder of the real rows")
}

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

impl Table {
    fn input(&self, path: &Path) -> Vec<Value> {
        let mut rows = rows(path);
        for row in &mut rows {
            self.unneeded.and_then(|column| row.as_object_mut().unwrap().remove(column));
        }
        rows
    }

    /// A row's own columns in the order of their names, with its time as a number.
    fn canonical(&self, row: &Value) -> String {
        let own = row.as_object().unwrap().iter().filter(|(name, value)| !value.is_null() && Some(name.as_str()) != self.time);
        let mut columns: Vec<_> = own.collect();
        columns.sort_by_key(|(name, _)| *name);
        let micros = self.time.and_then(|column| row[column].as_str()).and_then(time::parse_micros);
        format!("{micros:?} {}", serde_json::to_string(&columns).unwrap())
    }

    /// The golden rows come out as that pipeline had them, with a config that does what it did.
    pub fn check_golden<P: Plugin>(&self, config: Value) {
        let folder = real_data();
        let input = self.input(&folder.join(format!("golden/raw_{}.jsonl", self.name)));
        let outcome = testing::transform::<P>(config, &input).unwrap();
        assert_eq!(outcome.rejects, []);
        let of = |rows: &[Value]| rows.iter().map(|row| self.canonical(row)).collect::<BTreeSet<_>>();
        let (found, expected) = (of(&outcome.rows()), of(&rows(&folder.join(format!("golden/clean_{}.jsonl", self.name)))));
        assert_eq!(expected.len(), 316);
        let missing: Vec<_> = expected.difference(&found).take(3).collect();
        let surplus: Vec<_> = found.difference(&expected).take(3).collect();
        assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:#?}\nsurplus {surplus:#?}");
        println!("{} rows gave the {} different rows of the golden table", input.len(), found.len());
    }

    /// Every raw row comes out.
    pub fn check_raw<P: Plugin>(&self) {
        let folder = real_data();
        let input = self.input(&folder.join(format!("raw/{}.jsonl", self.name)));
        let outcome = testing::transform::<P>(json!({}), &input).unwrap();
        assert_eq!(outcome.rejects, []);
        assert_eq!(outcome.rows().len(), input.len());
        println!("{} rows in, {} rows out, none rejected", input.len(), outcome.rows().len());
    }
}
