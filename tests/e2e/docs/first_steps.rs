//! What someone has who never saw Wasmill and follows README.md and the tutorial word by word: their CSV in a Delta table, and a plugin.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Run;
use crate::support::{Workshop, repository};

pub const README: &str = "README.md";
pub const TUTORIAL: &str = "docs/tutorial.md";

/// The orders of the pages in the table's columns.
fn orders(rows: &[(i64, &str, i64, f64, Option<&str>)], more: impl Fn(i64, f64) -> Value) -> Vec<Value> {
    let row = |&(order_id, customer, quantity, price, country): &(i64, &str, i64, f64, Option<&str>)| {
        let mut row = json!({ "order_id": order_id, "customer": customer, "quantity": quantity, "price": price, "country": country });
        row.as_object_mut().unwrap().extend(more(quantity, price).as_object().unwrap().clone());
        row
    };
    rows.iter().map(row).collect()
}

/// The rows of a table by their numbers, without the time of the order: readers write it in different ways.
fn table(workshop: &Workshop, table: &str) -> (Vec<Value>, Vec<String>) {
    let mut rows = workshop.delta_rows(table);
    rows.sort_by_key(|row| row["order_id"].as_i64());
    let times = rows.iter_mut().map(|row| row.as_object_mut().unwrap().remove("ordered_at").unwrap().to_string()).collect();
    (rows, times)
}

#[test]
fn the_readme_brings_a_csv_into_delta() {
    let workshop = Run::of(README).page();
    let (rows, times) = table(&workshop, "out/orders");
    let expected = [
        (1001, "Ada Lopez", 2, 19.9, Some("DE")),
        (1002, "Ben Okafor", 1, 249.0, Some("FR")),
        (1003, "Chloé Martin", 12, 3.25, Some("FR")),
        (1004, "Dan Weiss", 1, 19.9, None),
        (1005, "Ada Lopez", 3, 3.25, Some("DE")),
    ];
    assert_eq!(rows, orders(&expected, |_, _| json!({})));
    assert!(times[0].contains("2026-01-05") && times[4].contains("2026-02-01"), "{times:?}");
    assert_eq!(workshop.delta_rows("out/pin_table").len() + workshop.jsonl_rows("out/dead_letters").len(), 50_000);
}

#[test]
fn the_tutorial_brings_a_csv_through_a_plugin_into_delta() {
    let run = Run::of(TUTORIAL);
    let _built = Built::beside(&run.workshop);
    let workshop = run.page();
    let first = [
        (1001, "Ada Lopez", 2, 19.9, Some("de")),
        (1002, "Ben Okafor", 1, 249.0, Some("FR")),
        (1003, "Chloé Martin", 12, 3.25, Some("FR")),
        (1004, "Dan Weiss", 1, 19.9, None),
        (1005, "Ada Lopez", 0, 3.25, Some("DE")),
        (1007, "Ada Lopez", 3, 3.25, Some("de")),
    ];
    let (rows, times) = table(&workshop, "out/orders");
    assert_eq!(rows, orders(&first, |_, _| json!({})));
    assert!(times[0].contains("2026-01-05") && times[5].contains("2026-02-01"), "{times:?}");
    let checked = [
        (1001, "Ada Lopez", 2, 19.9, Some("DE")),
        (1002, "Ben Okafor", 1, 249.0, Some("FR")),
        (1003, "Chloé Martin", 12, 3.25, Some("FR")),
        (1004, "Dan Weiss", 1, 19.9, None),
        (1007, "Ada Lopez", 3, 3.25, Some("DE")),
    ];
    let total = |quantity: i64, price: f64| json!({ "total": (price * quantity as f64 * 100.0).round() / 100.0 });
    assert_eq!(table(&workshop, "out/checked_orders").0, orders(&checked, total));
    let mut rejects: Vec<(String, String)> = workshop
        .jsonl_rows("out/checked_dead_letters")
        .iter()
        .map(|letter| (letter["code"].as_str().unwrap().to_owned(), letter["record"].as_str().unwrap().to_owned()))
        .collect();
    rejects.sort();
    let record = |code: &str, record: &str| (code.to_owned(), record.to_owned());
    let zero = record("bad-quantity", "1005,Ada Lopez,2026-01-07T18:00:00Z,0,3.25,DE");
    let two = record("bad-value", "1006,Eve Tanaka,2026-01-08T07:30:00Z,two,19.90,JP");
    assert_eq!(rejects, [zero, two]);
}

/// Where the reader's plugin is compiled: kept from run to run, so that its dependencies are compiled once.
struct Built(PathBuf);

impl Built {
    /// With the clone where the tutorial has it, and the versions of dependencies that were fetched for it.
    fn beside(workshop: &Workshop) -> Self {
        symlink(repository(), workshop.path("wasmill")).unwrap();
        workshop.write("order-rules/Cargo.lock", &std::fs::read_to_string(repository().join("Cargo.lock")).unwrap());
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("docs-plugin");
        std::fs::create_dir_all(&target).unwrap();
        symlink(&target, workshop.path("order-rules/target")).unwrap();
        Self(target)
    }
}

impl Drop for Built {
    /// Crates below the folder of a test are of no use to the next one, which has another folder.
    fn drop(&mut self) {
        for part in
            ["release", "wasm32-wasip2/release"].into_iter().flat_map(|place| ["deps", "build", ".fingerprint"].map(|kind| (place, kind)))
        {
            for entry in std::fs::read_dir(self.0.join(part.0).join(part.1)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().replace('-', "_");
                let path = entry.path();
                if name.contains("wasmill_plugin") || name.contains("order_rules") {
                    let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
                }
            }
        }
    }
}
