//! The configuration of the source `mysql`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_connect::{Retry, period};
use wasmill_engine::{Error, Result};

use crate::address::MysqlConnection;
use crate::codes::{COLUMN_TWICE, CURSOR, MISSING, NOTHING_TO_READ};
use crate::name::TableName;
use crate::url::Place;

/// How long a check waits for a server.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// `mysql: { connection: { url: "${env:MYSQL_URL}" }, table: pinterest_data }`
///
/// Reads a table or a query of MySQL or MariaDB. A batch is one statement, and so one state of the server. With a `cursor`, rows that were added since are
/// read, in batch and as a stream.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlSourceConfig {
    /// `connection: { url: "${env:MYSQL_URL}" }`
    ///
    /// How to reach the server, and with which credentials.
    pub connection: MysqlConnection,
    /// `table: pinterest_data`
    ///
    /// The table or view; with its database as `database.table`. Names are taken as they are written. Or a `query`.
    pub table: Option<String>,
    /// `query: "SELECT ind, title FROM pin_table WHERE downloaded"`
    ///
    /// One `SELECT`, in a session that can only read. Or a `table`.
    pub query: Option<String>,
    /// `order_by: [ind]`
    ///
    /// Columns that identify a row and are never null: the rows are sorted by them, and an
    /// interrupted run resumes after the last row. Without it, a run that was interrupted after its
    /// first epoch can't resume. With a `cursor`, columns that tell rows of the same value apart.
    #[serde(default)]
    pub order_by: Vec<String>,
    /// `cursor: id`
    ///
    /// A column that grows with every row that is added and is never null: an `AUTO_INCREMENT` key, or the
    /// time at which the row came. Rows are read in its order, and each run reads those that came since the
    /// one before. In stream mode the server is polled for them. Rows that are changed or deleted are not noticed.
    pub cursor: Option<String>,
    /// `delay: 10s`
    ///
    /// With a `cursor`, how long rows wait before they are read, 0s to 7days: longer than any transaction
    /// takes that writes rows, because a row that becomes visible behind one that was read is never read.
    /// Default: 10s.
    pub delay: Option<String>,
    /// `poll: 1s`
    ///
    /// With a `cursor`, how often a stream polls for new rows, 100ms to 1day. Default: 1s.
    pub poll: Option<String>,
    /// `retry: { for: 5m }`
    ///
    /// How long to retry when the server can't be reached. An interrupted statement is repeated
    /// from the last row on, where there is an `order_by` or a `cursor`. Default: 5m.
    #[serde(default)]
    pub retry: Retry,
}

impl MysqlSourceConfig {
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
                    .hint("for example: table: pinterest_data"));
            }
        }
        let twice = |column: &str| {
            Error::configuration(format!("`order_by` names the column `{column}` twice")).code(COLUMN_TWICE).key(["order_by"])
        };
        if let Some(column) = self.order_by.iter().enumerate().find(|(index, column)| self.order_by[..*index].contains(column)) {
            return Err(twice(column.1));
        }
        match &self.cursor {
            Some(cursor) if self.order_by.contains(cursor) => {
                return Err(Error::configuration(format!("`order_by` names the column `{cursor}`, which is the `cursor`"))
                    .code(COLUMN_TWICE)
                    .key(["order_by"])
                    .hint("rows are sorted by the cursor first: remove it from `order_by`"));
            }
            Some(_) => {}
            None => {
                let given = [("delay", &self.delay), ("poll", &self.poll)].into_iter().find(|(_, value)| value.is_some());
                if let Some((key, _)) = given {
                    return Err(Error::configuration(format!("`{key}` needs a `cursor`")).code(CURSOR).key([key]));
                }
            }
        }
        self.delay()?;
        self.poll()?;
        self.retry.time()?;
        self.connection.check()?;
        self.check_database()
    }

    /// A table has its database by its own name or by the connection's. An address that is none is
    /// reported where it is used.
    fn check_database(&self) -> Result<()> {
        let is_named = self.table.as_deref().is_none_or(|table| table.contains('.'));
        match Place::read(&self.connection) {
            Ok((place, _)) if !is_named && place.database.is_none() => {
                Err(Error::configuration("`table` has no database, and the connection has none either")
                    .code(MISSING)
                    .key(["table"])
                    .hint("write `table: database.table`, or give the connection a `database`"))
            }
            _ => Ok(()),
        }
    }

    /// How long rows wait before they are read.
    pub(super) fn delay(&self) -> Result<Duration> {
        period::read("delay", self.delay.as_deref(), Duration::from_secs(10), Duration::ZERO, Duration::from_secs(7 * 86_400))
    }

    /// How often a stream polls.
    pub(super) fn poll(&self) -> Result<Duration> {
        period::read("poll", self.poll.as_deref(), Duration::from_secs(1), Duration::from_millis(100), Duration::from_secs(86_400))
    }

    /// The columns that rows are sorted by.
    pub(super) fn key(&self) -> impl Iterator<Item = &str> {
        self.cursor.iter().chain(&self.order_by).map(String::as_str)
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

    fn check(more: &str) -> Result<()> {
        let json = format!(r#"{{"connection": {{"host": "h", "database": "d"}}, {more}}}"#);
        serde_json::from_str::<MysqlSourceConfig>(&json).unwrap().check()
    }

    #[test]
    fn a_table_or_a_query() {
        for good in [
            r#""table": "s.t", "order_by": ["a", "b"]"#,
            r#""query": "SELECT 1""#,
            r#""table": "t", "cursor": "id", "delay": "0s", "poll": "250ms""#,
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            r#""order_by": []"#,
            r#""table": "t", "query": "SELECT 1""#,
            r#""query": " ""#,
            r#""table": "a.b.c""#,
            r#""table": "t", "order_by": ["a", "a"]"#,
            r#""table": "t", "order_by": ["a"], "cursor": "a""#,
            r#""table": "t", "delay": "1s""#,
            r#""table": "t", "cursor": "a", "poll": "1ms""#,
            r#""table": "t", "cursor": "a", "delay": "8days""#,
        ] {
            assert_eq!(check(bad).unwrap_err().class(), wasmill_engine::Class::Configuration, "{bad}");
        }
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(MysqlSourceConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
