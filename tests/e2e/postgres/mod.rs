//! Posts from files through a plugin into PostgreSQL, dead letters too, with everything going wrong that can.

mod faults;
mod two_sinks;

use crate::support::{Database, Pins, Workshop, expected};

/// Posts into the table `pin_table` and dead letters into another table of the same database.
pub const PIPELINE: &str = r#"
name: to-postgres
mode: batch
lanes: 2
batch_rows: 500
sources:
  pins: { files: { path: "data/*.jsonl" } }
stages:
  clean_pins: { from: pins, plugin: clean-pin }
sinks:
  pin_table:
    from: clean_pins
    postgres: { connection: { url: "${env:PG_URL}" }, table: pin_table }
dead_letters:
  postgres: { connection: { url: "${env:PG_URL}" }, table: dead_letters }
epoch: { every: 200ms, rows: 3000 }
"#;

/// A folder with the pipeline and so many files of 2,000 posts.
pub fn workshop(files: u64) -> Workshop {
    let workshop = Workshop::new();
    workshop.write("pipeline.yaml", PIPELINE);
    (0..files).for_each(|file| add_file(&workshop, file));
    workshop
}

/// Another file arrives, complete at once as a producer would do it.
pub fn add_file(workshop: &Workshop, file: u64) {
    workshop.write("incoming", &Pins(file * 2_000..(file + 1) * 2_000).lines());
    let path = workshop.path(&format!("data/pins-{file:04}.jsonl"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::rename(workshop.path("incoming"), path).unwrap();
}

/// Every post is in the table or in the dead letters, once.
pub fn check(database: &Database, files: u64) {
    let (table, dead) = database.posts();
    expected(0..files * 2_000).check(&table, &dead);
}
