//! The plugin over real rows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/real_data/mod.rs"]
mod real_data;

use clean_geo::CleanGeo;
use real_data::Table;
use serde_json::json;

const TABLE: Table = Table { name: "geo", time: Some("timestamp"), unneeded: None };

#[test]
#[ignore = "needs real rows: `make test` runs it where WASMILL_REAL_DATA names their folder"]
fn golden_rows_come_out_as_that_pipeline_had_them() {
    TABLE.check_golden::<CleanGeo>(json!({}));
}

#[test]
#[ignore = "needs real rows: `make test` runs it where WASMILL_REAL_DATA names their folder"]
fn no_raw_row_is_lost() {
    TABLE.check_raw::<CleanGeo>();
}
