//! Destinations whose sinks replace the rows of a key.

use std::process::Command;

use serde_json::Value;

use super::destination::{DeltaOnDisk, DeltaOnS3, Destination, Postgres};
use super::mill::State;
use crate::support::{Store, Workshop};

/// A destination with a sink that can replace rows.
pub trait Upserts: Destination {
    /// As the matrix calls it then.
    const UPSERTED: &'static str;
    /// Its points then.
    const UPSERT_POINTS: &'static [&'static str];
    /// The points that are passed only if a file holds rows that are replaced, and others.
    const REWRITE_POINTS: &'static [&'static str] = &[];

    /// The options of such a sink, in YAML, instead of those of the other.
    fn upsert(&self, key: &str) -> String;
}

/// The destination with that sink.
pub struct Upserted<D>(D);

impl<D: Upserts> Destination for Upserted<D> {
    const NAME: &'static str = D::UPSERTED;
    const POINTS: &'static [&'static str] = D::UPSERT_POINTS;
    const PLACES: [&'static str; 2] = D::PLACES;
    const STATE: State = D::STATE;
    const REPLACING_POINTS: &'static [&'static str] = D::REWRITE_POINTS;

    fn new() -> Self {
        Self(D::new())
    }

    fn sink(&self, key: &[&str]) -> String {
        self.0.upsert(&format!("write: upsert, key: [{}]", key.join(", ")))
    }

    fn dead_letters(&self) -> String {
        self.0.dead_letters()
    }

    fn environment(&self, command: &mut Command) {
        self.0.environment(command);
    }

    fn rows(&self, workshop: &Workshop) -> (Vec<Value>, Vec<Value>) {
        self.0.rows(workshop)
    }

    fn rows_of_another_reader(&self, workshop: &Workshop) -> Option<Vec<Value>> {
        self.0.rows_of_another_reader(workshop)
    }

    fn store(&self) -> Option<&Store> {
        self.0.store()
    }

    /// Files that were rewritten, and those of a commit that was killed, stay in a Delta table until a vacuum.
    fn left_over(&self, workshop: &Workshop) -> Vec<String> {
        let waits_for_vacuum = |name: &String| {
            let table = name.split_once(D::PLACES[0]).map(|(_, name)| name);
            table.is_some_and(|name| !name.contains('/') && name.ends_with(".parquet"))
        };
        self.0.left_over(workshop).into_iter().filter(|name| !waits_for_vacuum(name)).collect()
    }
}

/// The points of an upsert into a Delta table, wherever it lies; a checkpoint of its log comes with every version but the first.
const DELTA_POINTS: &[&str] = &[
    "delta-after-rename",
    "delta-upsert-rewritten",
    "delta-commit-before-log",
    "delta-commit-after-log",
    "sink-clean-up",
    "delta-before-log-checkpoint",
];

const DELTA_REWRITE_POINTS: &[&str] = &["delta-upsert-written"];

impl Upserts for DeltaOnDisk {
    const UPSERTED: &'static str = "upserts_into_delta_on_disk";
    const UPSERT_POINTS: &'static [&'static str] = DELTA_POINTS;
    const REWRITE_POINTS: &'static [&'static str] = DELTA_REWRITE_POINTS;

    fn upsert(&self, key: &str) -> String {
        format!("delta: {{ uri: out/pin_table, {key}, checkpoint_every: 1 }}")
    }
}

impl Upserts for DeltaOnS3 {
    const UPSERTED: &'static str = "upserts_into_delta_on_s3";
    const UPSERT_POINTS: &'static [&'static str] = DELTA_POINTS;
    const REWRITE_POINTS: &'static [&'static str] = DELTA_REWRITE_POINTS;

    fn upsert(&self, key: &str) -> String {
        format!(r#"delta: {{ uri: "{}/pin_table", {key}, checkpoint_every: 1, connection: {} }}"#, self.0.prefix, Store::options())
    }
}

impl Upserts for Postgres {
    const UPSERTED: &'static str = "upserts_into_postgres";
    const UPSERT_POINTS: &'static [&'static str] = Self::POINTS;

    fn upsert(&self, key: &str) -> String {
        format!(r#"postgres: {{ connection: {{ url: "${{env:PG_URL}}" }}, table: pin_table, {key} }}"#)
    }
}
