//! Posts as the rows of a table of MariaDB.

use serde_json::{Value, json};

use super::Origin;
use crate::support::{Arrival, MysqlDatabase, Pins, Workshop, is_broken, is_refused_by_plugin};

/// A table that grows. A column of numbers has another text where the line of a post is broken.
pub struct Table(MysqlDatabase);

/// The row of a post.
fn row(number: u64) -> Value {
    if is_broken(number) {
        return json!({ "index": "broken", "description": format!("#{number}#") });
    }
    let mut row: Value = serde_json::from_str(&Pins(number..number + 1).lines()).unwrap();
    row["index"] = json!(number.to_string());
    row
}

/// A value in SQL.
fn value(value: &Value) -> String {
    match value.as_str() {
        Some(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        None => value.to_string(),
    }
}

const COLUMNS: [&str; 12] = [
    "index",
    "unique_id",
    "title",
    "description",
    "poster_name",
    "follower_count",
    "tag_list",
    "is_image_or_video",
    "image_src",
    "downloaded",
    "save_location",
    "category",
];

impl Origin for Table {
    const NAME: &'static str = "mysql";

    fn new() -> Self {
        let database = MysqlDatabase::new();
        let columns: String = COLUMNS.iter().map(|column| format!(", `{column}` varchar(200)")).collect();
        database.run(&format!("CREATE TABLE pinterest_data (at bigint PRIMARY KEY AUTO_INCREMENT{columns})"));
        Self(database)
    }

    fn source(&self) -> String {
        let (server, url) = (self.0.server(), self.0.url());
        let (_, database) = url.rsplit_once('/').unwrap();
        // Rows become visible in the order of their keys, a transaction at a time.
        format!(
            "mysql: {{ connection: {{ host: {}, port: {}, user: root, database: {database} }}, table: pinterest_data, cursor: at, delay: 0s, poll: 100ms }}, \
             schema: {{ index: int64 }}",
            server.ip(),
            server.port()
        )
    }

    fn add(&mut self, _: &Workshop, posts: &Arrival) {
        let columns: Vec<String> = COLUMNS.iter().map(|column| format!("`{column}`")).collect();
        let values = |number| {
            let row = row(number);
            format!("({})", COLUMNS.iter().map(|column| value(&row[column])).collect::<Vec<_>>().join(","))
        };
        let rows: Vec<String> = posts.numbers().map(values).collect();
        let inserts =
            rows.chunks(1_000).map(|rows| format!("INSERT INTO pinterest_data ({}) VALUES {};", columns.join(","), rows.join(",")));
        self.0.run(&format!("BEGIN; {} COMMIT", inserts.collect::<String>()));
    }

    /// Rows are counted in the order of their keys.
    fn wrong_place(&self, number: u64, partition: &str, position: u64) -> Option<String> {
        (!partition.contains("pinterest_data") || position != number).then(|| format!("it is row {number} of pinterest_data"))
    }

    fn is_dead_letter(number: u64, dead: &Value) -> bool {
        let record: Value = serde_json::from_str(dead["record"].as_str().unwrap_or_default()).unwrap_or_default();
        let Some(columns) = record.as_object() else { return false };
        let expected = row(number);
        // What no stage needs is not read.
        let is_same = columns.iter().all(|(name, value)| name == "at" || expected[name] == *value);
        let is_whole = ["index", "title", "description", "follower_count"].iter().all(|name| columns.contains_key(*name));
        let is_fine = match is_broken(number) {
            true => dead["code"] == "bad-value" && dead["column"] == "index" && dead["stage"].is_null(),
            false => is_refused_by_plugin(dead),
        };
        is_same && is_whole && is_fine
    }
}
