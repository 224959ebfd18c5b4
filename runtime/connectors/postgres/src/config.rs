//! The configuration of a Postgres sink.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_engine::{Error, Result};

use super::sql::TableName;
use wasmill_connect::Secret;
use wasmill_connect::period;

/// Writes into a table of a PostgreSQL server. A table that does not exist is made by the first commit; its schema has to be there.
///
/// Rows are spooled beside the pipeline's state until their epoch is noted, and are then copied into the table in one transaction, which also
/// moves the sink's token in the table `wasmill_commits` of the same schema. Records that the table's columns can't hold (U+0000 in a text, a
/// value out of range, a null where none may be) are rejected one by one. What only the server can judge (unique, check and foreign keys)
/// stops the run at the commit; no row of that epoch is then in the table.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `url: "${env:PG_URL}"`
    ///
    /// Where the server is: `postgres://user:password@host:port/database`, or `host=… user=…`. In its place, `host`, `port`, `user`, `password` and `database`.
    pub url: Option<Secret>,
    /// `host: db.example.org`
    ///
    /// The server's name or address, or the folder of its socket.
    pub host: Option<String>,
    /// `port: 5432`
    ///
    /// Its port. Default: 5432.
    pub port: Option<u16>,
    /// `user: wasmill`
    ///
    /// Default: the user of this process.
    pub user: Option<String>,
    /// `password: "${env:PG_PASSWORD}"`
    ///
    /// Never shown.
    pub password: Option<Secret>,
    /// `database: pins`
    ///
    /// Default: the one that is called like the user.
    pub database: Option<String>,
    /// `table: public.pin_table`
    ///
    /// The table, with its schema (default: `public`). Names are taken as they are written, capitals too.
    pub table: String,
    /// `write: append`
    ///
    /// `append` adds rows. `upsert` replaces the row of the same `key`, where there is one; of several rows of a key in one epoch the last
    /// one counts, by lane and then by the order within the lane.
    #[serde(default)]
    pub write: PostgresWrite,
    /// `key: [index]`
    ///
    /// The columns that decide which row an upsert replaces; at most 2,000 bytes together. A table that is made has them as its primary key. A table
    /// that is there needs a unique index on exactly these columns.
    #[serde(default)]
    pub key: Vec<String>,
    /// `tls: { mode: verify-full, ca: ca.pem }`
    ///
    /// How the connection is protected.
    #[serde(default)]
    pub tls: PostgresTls,
    /// `connect_timeout: 10s`
    ///
    /// How long one attempt to connect may take, 100ms to 10min. Default: 10s.
    #[serde(default = "ten_seconds", deserialize_with = "period::deserialize")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
    /// `timeout: 10min`
    ///
    /// How long the server may take for one statement of a commit, 1s to 1day. Default: 10min.
    #[serde(default = "ten_minutes", deserialize_with = "period::deserialize")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// `retry_for: 5min`
    ///
    /// How long a commit is tried again when the server can't be reached, 0s to 1day. The sources wait meanwhile. After it the run stops; the epoch
    /// waits beside the state, and the next start commits it. A start waits for the server 30 seconds at most. Default: 5min.
    #[serde(default = "five_minutes", deserialize_with = "period::deserialize")]
    #[schemars(with = "String")]
    pub retry_for: Duration,
}

/// What happens to a row whose key is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PostgresWrite {
    /// Adds rows to those that are there.
    #[default]
    Append,
    /// Replaces the row of the same key.
    Upsert,
}

/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresTls {
    /// `mode: verify-full`
    ///
    /// `disable`: none. `prefer`: where the server offers it, without verifying anything. `require`: always, without verifying anything. `verify-ca`: the
    /// server's certificate has to be signed by `ca`. `verify-full`: and be of the host's name. Default: `verify-full` where `ca` is given,
    /// otherwise what `sslmode` in the URL says, otherwise `prefer`.
    pub mode: Option<PostgresTlsMode>,
    /// `ca: /etc/ssl/pg-ca.pem`
    ///
    /// The certificates of the authorities to trust, as PEM. Default for `verify-full`: those of the system.
    pub ca: Option<String>,
    /// `certificate: client.pem`
    ///
    /// The certificate that this client shows, as PEM; with `key`, and with `ca` where the server's is verified.
    pub certificate: Option<String>,
    /// `key: client.key`
    ///
    /// The file of its private key, as PEM.
    pub key: Option<String>,
}

/// What is encrypted and verified, named as by PostgreSQL itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostgresTlsMode {
    /// Nothing.
    Disable,
    /// Encrypted where the server offers it.
    Prefer,
    /// Encrypted.
    Require,
    /// Encrypted, the server's certificate verified.
    VerifyCa,
    /// Encrypted, the server's certificate and name verified.
    VerifyFull,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl PostgresConfig {
    /// The configuration that has nothing but its server and its table.
    pub fn new(url: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            url: Some(Secret::new(url)),
            host: None,
            port: None,
            user: None,
            password: None,
            database: None,
            table: table.into(),
            write: PostgresWrite::default(),
            key: Vec::new(),
            tls: PostgresTls::default(),
            connect_timeout: ten_seconds(),
            timeout: ten_minutes(),
            retry_for: five_minutes(),
        }
    }

    /// What is wrong with the values, apart from any schema.
    pub(super) fn check(&self) -> Result<()> {
        TableName::parse(&self.table)?;
        if self.write == PostgresWrite::Upsert && self.key.is_empty() {
            return Err(
                Error::configuration("`write: upsert` needs a `key`").key(["write", "upsert"]).hint("name the columns that tell one row from another: `key: [id]`")
            );
        }
        for (index, column) in self.key.iter().enumerate() {
            if self.key[..index].contains(column) {
                return Err(Error::configuration(format!("`key` names the column `{column}` twice")).key(["key"]));
            }
        }
        let (day, second) = (Duration::from_secs(86_400), Duration::from_secs(1));
        within("connect_timeout", self.connect_timeout, second / 10, 600 * second)?;
        within("timeout", self.timeout, second, day)?;
        within("retry_for", self.retry_for, Duration::ZERO, day)
    }
}

fn within(name: &str, value: Duration, least: Duration, most: Duration) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let shown = humantime::format_duration;
    Err(Error::configuration(format!("`{name}: {}` is out of range", shown(value))).key([name]).hint(format!("{} to {}", shown(least), shown(most))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<PostgresConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_server_and_a_table_are_enough() {
        assert_eq!(read(r#"{"url": "postgres://h/d", "table": "t"}"#).unwrap(), PostgresConfig::new("postgres://h/d", "t"));
        assert!(read(r#"{"url": "postgres://h/d", "table": "t", "mode": "append"}"#).is_err());
        let config =
            read(r#"{"host": "h", "table": "s.t", "write": "upsert", "key": ["a"], "timeout": "2min", "tls": {"mode": "verify-ca"}}"#)
                .unwrap();
        assert_eq!((config.timeout, config.tls.mode), (Duration::from_secs(120), Some(PostgresTlsMode::VerifyCa)));
        config.check().unwrap();
    }

    #[test]
    fn what_does_not_go_together_is_told() {
        let config = PostgresConfig::new("postgres://h/d", "t");
        let wrong = [
            PostgresConfig { write: PostgresWrite::Upsert, ..config.clone() },
            PostgresConfig { key: vec!["a".into(), "a".into()], ..config.clone() },
            PostgresConfig { timeout: Duration::ZERO, ..config.clone() },
            PostgresConfig { connect_timeout: Duration::from_secs(3600), ..config.clone() },
            PostgresConfig { table: "a.b.c".into(), ..config },
        ];
        for config in wrong {
            assert_eq!(config.check().unwrap_err().class(), wasmill_engine::Class::Configuration, "{config:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = PostgresConfig { password: Some(Secret::new("hunter2")), ..PostgresConfig::new("postgres://u:hunter2@h/d", "t") };
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
