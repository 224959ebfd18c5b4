//! Running results in a table that is upserted.

use super::{Post, windows};
use crate::support::{Database, Workshop};

#[test]
fn running_results_end_as_one_row_per_key_and_window() {
    let posts = Post::keyed(8, 900);
    let database = Database::new();
    let workshop = Workshop::new();
    for (file, part) in posts.chunks(100).enumerate() {
        workshop.write(&format!("posts/{file}.jsonl"), &part.iter().map(Post::line).collect::<String>());
    }
    workshop.write(
        "p.yaml",
        &format!(
            r#"
name: running
lanes: 3
epoch: {{ rows: 100 }}
sources:
  posts: {{ files: {{ path: "posts/*.jsonl" }}, schema: {{ ind: int64, category: text, time: timestamp, followers: int64 }} }}
stages:
  popular:
    from: posts
    aggregate:
      by: [category]
      window: {{ tumbling: 10m, time: time, delay: 1h }}
      compute: {{ posts: "count(*)", sum: sum(followers), median: median(followers) }}
      emit: every_epoch
sinks:
  results:
    from: popular
    postgres: {{ connection: {{ url: "{}" }}, table: popular, write: upsert, key: [category, window_start, window_end] }}
dead_letters: {{ files: {{ path: out/dead_letters, format: jsonl }} }}
"#,
            database.url()
        ),
    );
    let ended = workshop.run_well(&["run", "p.yaml", "--json"]);
    super::check_invariant(&ended.stdout);
    let epochs = ended.stdout.lines().filter(|line| line.contains("\"event\":\"epoch\"")).count();
    assert!(epochs > 3, "results were replaced over several epochs: {epochs}");
    super::assert_same_rows(rows_of(&database, "popular"), windows(&posts), "upserted");
    assert_eq!(workshop.jsonl_rows("out/dead_letters").len(), 0);
}

/// The windows of a table, as DuckDB gives those of a Delta table; none if there is no table.
pub fn rows_of(database: &Database, table: &str) -> Vec<serde_json::Value> {
    if database.run(&format!("select to_regclass('{table}')")).trim().is_empty() {
        return Vec::new();
    }
    let micros = |column: &str| format!("'{column}', (extract(epoch from {column}) * 1000000)::bigint");
    let rows = database.run(&format!(
        "select json_build_object('category', category, {}, {}, 'posts', posts, 'sum', sum, 'median', median::float8) from {table}",
        micros("window_start"),
        micros("window_end")
    ));
    let float = |line: &str| {
        let mut row: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(median) = row["median"].as_f64() {
            row["median"] = serde_json::json!(median);
        }
        row
    };
    rows.lines().map(float).collect()
}
