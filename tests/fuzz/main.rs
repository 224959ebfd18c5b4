//! Fuzzing of everything that decodes foreign bytes: JSON (lines, arrays, objects one after the other), CSV, times, YAML, Parquet, checkpoints,
//! expressions in SQL and requests to a gateway.
//!
//! Each target starts from a corpus (`corpus/<target>`) and from inputs that it generates, damages them, and checks what has to hold for any bytes: no panic, bounded
//! memory and time, what is written is read back, and agreement with another reader of the format. An input for which it does not hold is shrunk and saved in
//! `cases/<target>`, from where every later run begins.
//!
//! | variable | meaning |
//! |---|---|
//! | `WASMILL_FUZZ_SECONDS` | how long each target runs: by default 15, all of them two and a half minutes |
//! | `WASMILL_FUZZ=endless` | until it is stopped (`make fuzz`) |
//! | `WASMILL_FUZZ_SEED` | where chance begins; every run prints it |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod campaign;
mod checkpoint;
mod csv;
mod files;
mod json;
mod json_values;
mod memory;
mod mutate;
mod parquet;
#[allow(dead_code)]
#[path = "../e2e/support/random.rs"]
mod random;
#[cfg(feature = "gateway")]
mod requests;
#[cfg(feature = "sql")]
mod sql;
mod time;
mod yaml;

use campaign::run;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

#[test]
fn json() {
    run::<json::Json>();
}

#[test]
fn json_values() {
    run::<json_values::JsonValues>();
}

#[test]
fn csv() {
    run::<csv::Csv>();
}

#[test]
fn time() {
    run::<time::Time>();
}

#[test]
fn yaml() {
    run::<yaml::Yaml>();
}

#[test]
fn parquet() {
    run::<parquet::Parquet>();
}

#[cfg(feature = "sql")]
#[test]
fn sql() {
    run::<sql::Sql>();
}

#[test]
fn checkpoint() {
    run::<checkpoint::State>();
}

#[cfg(feature = "gateway")]
#[test]
fn requests() {
    run::<requests::Requests>();
}
