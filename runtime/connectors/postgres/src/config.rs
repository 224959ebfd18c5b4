//! The configuration of a Postgres sink.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_engine::{Error, Result};

use super::address::PostgresConnection;
use super::sql::TableName;
use crate::codes::{COLUMN_TWICE, KEY};
use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_connect::{Retry, period};

/// Writes into a table of a PostgreSQL server. A missing table is created by the first commit; its
/// schema must exist.
///
/// Rows are spooled next to the pipeline's state until their epoch is noted. They are then copied
/// into the table in one transaction, which also moves the sink's token in the table
/// `wasmill_commits` of the same schema. Records that the table's columns can't hold (U+0000 in a
/// text, a value out of range, a null in a `NOT NULL` column) are rejected one by one. What only
/// the server can check (unique, check and foreign keys) stops the run at the commit; no row of
/// that epoch is then in the table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `connection: { url: "${env:PG_URL}" }`
    ///
    /// How to reach the server, and with which credentials.
    pub connection: PostgresConnection,
    /// `table: public.pin_table`
    ///
    /// The table, with its schema (default: `public`). Names are taken as they are written, capitals too.
    pub table: String,
    /// `write: append`
    ///
    /// `append` adds rows. `upsert` replaces the row of the same `key`, if there is one; of several
    /// rows of a key in one epoch the last one counts, by lane and then by the order within the
    /// lane.
    #[serde(default)]
    pub write: PostgresWrite,
    /// `key: [index]`
    ///
    /// The columns that decide which row an upsert replaces; at most 2,000 bytes together. A table
    /// that the sink creates has them as its primary key. An existing table needs a unique index on
    /// exactly these columns.
    #[serde(default)]
    pub key: Vec<String>,
    /// `timeout: 10m`
    ///
    /// How long the server may take for one statement of a commit, 1s to 1day. Default: 10m.
    #[serde(default = "ten_minutes", deserialize_with = "period::deserialize")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// `retry: { for: 5m }`
    ///
    /// How long a commit is retried when the server can't be reached. The sources wait meanwhile.
    /// After it the run stops; the epoch is kept next to the state, and the next start commits it.
    /// A start waits for the server 30 seconds at most. Default: 5m.
    #[serde(default)]
    pub retry: Retry,
}

/// What happens to a row whose key exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PostgresWrite {
    /// Adds rows to those that are there.
    #[default]
    Append,
    /// Replaces the row of the same key.
    Upsert,
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

impl PostgresConfig {
    /// The configuration that has nothing but its server and its table.
    pub fn new(url: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            connection: PostgresConnection::of_url(url),
            table: table.into(),
            write: PostgresWrite::default(),
            key: Vec::new(),
            timeout: ten_minutes(),
            retry: Retry::default(),
        }
    }

    /// What is wrong with the values, apart from any schema.
    pub(super) fn check(&self) -> Result<()> {
        TableName::parse(&self.table)?;
        if self.write == PostgresWrite::Upsert && self.key.is_empty() {
            return Err(Error::configuration("`write: upsert` needs a `key`")
                .code(KEY)
                .key(["write"])
                .hint("name the columns that identify a row: `key: [id]`"));
        }
        for (index, column) in self.key.iter().enumerate() {
            if self.key[..index].contains(column) {
                return Err(Error::configuration(format!("`key` names the column `{column}` twice")).code(COLUMN_TWICE).key(["key"]));
            }
        }
        let (day, second) = (Duration::from_secs(86_400), Duration::from_secs(1));
        self.connection.check()?;
        within("timeout", self.timeout, second, day)?;
        self.retry.time().map(drop)
    }
}

pub(super) fn within(name: &str, value: Duration, least: Duration, most: Duration) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let shown = humantime::format_duration;
    Err(Error::configuration(format!("`{name}: {}` is out of range", shown(value))).code(OUT_OF_RANGE).key([name]).hint(format!(
        "{} to {}",
        shown(least),
        shown(most)
    )))
}

#[cfg(test)]
mod tests {
    use wasmill_connect::Secret;

    use super::*;
    use crate::PostgresTlsMode;

    fn read(json: &str) -> Result<PostgresConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_server_and_a_table_are_enough() {
        assert_eq!(read(r#"{"connection": {"url": "postgres://h/d"}, "table": "t"}"#).unwrap(), PostgresConfig::new("postgres://h/d", "t"));
        assert!(read(r#"{"connection": {"url": "postgres://h/d"}, "table": "t", "mode": "append"}"#).is_err());
        let config = r#"{"connection": {"host": "h", "tls": {"mode": "verify-ca"}}, "table": "s.t", "write": "upsert", "key": ["a"], "timeout": "2m"}"#;
        let config = read(config).unwrap();
        assert_eq!((config.timeout, config.connection.tls.mode), (Duration::from_secs(120), Some(PostgresTlsMode::VerifyCa)));
        config.check().unwrap();
    }

    #[test]
    fn what_does_not_go_together_is_reported() {
        let config = PostgresConfig::new("postgres://h/d", "t");
        let wrong = [
            PostgresConfig { write: PostgresWrite::Upsert, ..config.clone() },
            PostgresConfig { key: vec!["a".into(), "a".into()], ..config.clone() },
            PostgresConfig { timeout: Duration::ZERO, ..config.clone() },
            PostgresConfig {
                connection: PostgresConnection { connect_timeout: Duration::from_secs(3600), ..config.connection.clone() },
                ..config.clone()
            },
            PostgresConfig { table: "a.b.c".into(), ..config },
        ];
        for config in wrong {
            assert_eq!(config.check().unwrap_err().class(), wasmill_engine::Class::Configuration, "{config:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let config =
            PostgresConnection { password: Some(Secret::new("hunter2")), ..PostgresConnection::of_url("postgres://u:hunter2@h/d") };
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(PostgresConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
