//! Running results in a table that is upserted.

use super::{Post, windows};
use crate::support::{Database, Workshop};

#[test]
fn running_results_end_as_one_row_per_key_and_window() {
    let posts = Post::some(8, 900);
    let database = Database::new();
    let workshop = Workshop::new();
    // A post without a category has no key that a primary key could hold.
    let posts: Vec<Post> = posts.into_iter().filter(|post| post.category.is_some()).collect();
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
    let rows = database.run(
        "select json_build_object('category', category, 'window_start', (extract(epoch from window_start) * 1000000)::bigint, \
         'window_end', (extract(epoch from window_end) * 1000000)::bigint, 'posts', posts, 'sum', sum, 'median', median::float8) from popular",
    );
    let rows = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = windows(&posts);
    let floats = |mut rows: Vec<serde_json::Value>| {
        for row in &mut rows {
            if let Some(median) = row["median"].as_f64() {
                row["median"] = serde_json::json!(median);
            }
        }
        rows
    };
    super::assert_same_rows(floats(rows), floats(expected), "upserted");
    assert_eq!(workshop.jsonl_rows("out/dead_letters").len(), 0);
}
