//! The configuration of the source `postgres`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_engine::{Error, Result};

use crate::address::PostgresConnection;
use crate::codes::{COLUMN_TWICE, NOTHING_TO_READ};
use crate::config::PostgresConfig;
use crate::sql::TableName;
use wasmill_connect::Retry;

/// How long a check waits for a server.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// `postgres: { connection: { url: "${env:PG_URL}" }, table: public.pin_table }`
///
/// Reads a table or a query of a PostgreSQL server, in batch: one statement, and so one state of the server. Numerics without a precision, times of day, UUIDs, JSON and types that
/// Wasmill does not know come as text.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresSourceConfig {
    /// `connection: { url: "${env:PG_URL}" }`
    ///
    /// How to reach the server, and with which credentials.
    pub connection: PostgresConnection,
    /// `table: public.pin_table`
    ///
    /// The table or view, with its schema (default: `public`). Names are taken as they are written, capitals too. Or a `query`.
    pub table: Option<String>,
    /// `query: "SELECT ind, title FROM pin_table WHERE downloaded"`
    ///
    /// One `SELECT`, in a transaction that can only read. Or a `table`.
    pub query: Option<String>,
    /// `order_by: [ind]`
    ///
    /// Columns that identify a row and are never null: the rows are sorted by them, and an
    /// interrupted run resumes after the last row. Without it, a run that was interrupted after its
    /// first epoch can't resume.
    #[serde(default)]
    pub order_by: Vec<String>,
    /// `retry: { for: 5m }`
    ///
    /// How long to retry when the server can't be reached. An interrupted statement is repeated
    /// from the last row on, where there is an `order_by`. Default: 5m.
    #[serde(default)]
    pub retry: Retry,
}

impl PostgresSourceConfig {
    /// What is wrong with the values.
    pub(super) fn check(&self) -> Result<()> {
        match (&self.table, &self.query) {
            (Some(table), None) => drop(TableName::parse(table)?),
            (None, Some(query)) if query.trim().is_empty() => {
                return Err(Error::configuration("`query` is empty").code(NOTHING_TO_READ).key(["query"]));
            }
            (None, Some(_)) => {}
            _ => {
                return Err(Error::configuration("it needs either `table` or `query`")
                    .code(NOTHING_TO_READ)
                    .hint("for example: table: public.pin_table"));
            }
        }
        if let Some(column) = self.order_by.iter().enumerate().find(|(index, column)| self.order_by[..*index].contains(column)) {
            return Err(Error::configuration(format!("`order_by` names the column `{}` twice", column.1))
                .code(COLUMN_TWICE)
                .key(["order_by"]));
        }
        self.retry.time()?;
        self.as_sink().check()
    }

    /// The same server as a sink's configuration.
    pub(super) fn as_sink(&self) -> PostgresConfig {
        PostgresConfig { connection: self.connection.clone(), ..PostgresConfig::new("", "rows") }
    }

    /// All rows, as SQL for a `FROM` clause.
    pub(super) fn base_sql(&self) -> String {
        match (&self.query, self.table.as_deref().map(TableName::parse)) {
            (Some(query), _) => format!("(\n{}\n)", query.trim().trim_end_matches(';')),
            (None, Some(Ok(table))) => table.sql(),
            // Checked before.
            (None, _) => String::new(),
        }
    }

    pub(super) fn describe_for(&self) -> Result<Duration> {
        Ok(self.retry.time()?.min(DESCRIBE_TIMEOUT))
    }

    /// What is read, for readers.
    pub fn shown(&self) -> &str {
        self.table.as_deref().unwrap_or("query")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_or_a_query() {
        let check = |json: &str| serde_json::from_str::<PostgresSourceConfig>(json).unwrap().check();
        assert!(check(r#"{"connection": {"url": "postgres://h/d"}, "table": "s.t", "order_by": ["a", "b"]}"#).is_ok());
        assert!(check(r#"{"connection": {"host": "h"}, "query": "SELECT 1"}"#).is_ok());
        for bad in [
            r#"{"connection": {"url": "postgres://h/d"}}"#,
            r#"{"connection": {"url": "postgres://h/d"}, "table": "t", "query": "SELECT 1"}"#,
            r#"{"connection": {"url": "postgres://h/d"}, "query": " "}"#,
            r#"{"connection": {"url": "postgres://h/d"}, "table": "a.b.c"}"#,
            r#"{"connection": {"url": "postgres://h/d"}, "table": "t", "order_by": ["a", "a"]}"#,
        ] {
            assert_eq!(check(bad).unwrap_err().class(), wasmill_engine::Class::Configuration, "{bad}");
        }
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(PostgresSourceConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
