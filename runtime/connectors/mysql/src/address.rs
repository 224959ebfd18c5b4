//! How to reach a server, as pipelines declare it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_connect::{Secret, period};
use wasmill_engine::{Error, Result};

/// How to reach a server of MySQL or MariaDB, and with which credentials.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlConnection {
    /// `url: "${env:MYSQL_URL}"`
    ///
    /// Where the server is: `mysql://user:password@host:port/database`. In its place, `host`, `port`, `user`, `password` and `database`.
    pub url: Option<Secret>,
    /// `host: db.example.org`
    ///
    /// The server's name or address, or the path of its socket.
    pub host: Option<String>,
    /// `port: 3306`
    ///
    /// Its port. Default: 3306.
    pub port: Option<u16>,
    /// `user: wasmill`
    ///
    /// The server's user. Default: `root`.
    pub user: Option<String>,
    /// `password: "${env:MYSQL_PASSWORD}"`
    ///
    /// Never shown.
    pub password: Option<Secret>,
    /// `database: pinterest`
    ///
    /// The database of tables that are named without one.
    pub database: Option<String>,
    /// `tls: { mode: verify-full, ca: ca.pem }`
    ///
    /// How the connection is protected.
    #[serde(default)]
    pub tls: MysqlTls,
    /// `connect_timeout: 10s`
    ///
    /// How long one attempt to connect may take, 100ms to 10m. Default: 10s.
    #[serde(default = "ten_seconds", deserialize_with = "period::deserialize")]
    #[schemars(with = "String")]
    pub connect_timeout: Duration,
}

/// How a connection is protected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlTls {
    /// `mode: verify-full`
    ///
    /// `disable`: none. `prefer`: where the server offers it, without verifying anything.
    /// `require`: always, without verifying anything. `verify-ca`: the server's certificate must be
    /// signed by `ca`. `verify-full`: it must also match the host's name. Default: `verify-full` where `ca` is given,
    /// otherwise the `ssl-mode` of the URL, otherwise `prefer`.
    pub mode: Option<MysqlTlsMode>,
    /// `ca: /etc/ssl/mysql-ca.pem`
    ///
    /// The certificates of the authorities to trust, as PEM. Default for `verify-full`: those of the system.
    pub ca: Option<String>,
    /// `certificate: client.pem`
    ///
    /// The client's certificate, as PEM; with `key`.
    pub certificate: Option<String>,
    /// `key: client.key`
    ///
    /// The file of its private key, as PEM.
    pub key: Option<String>,
}

/// What is encrypted and verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MysqlTlsMode {
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

impl MysqlConnection {
    /// A server, by its URL.
    pub fn of_url(url: impl Into<String>) -> Self {
        Self { url: Some(Secret::new(url)), ..Self::default() }
    }

    /// What is wrong with the values.
    pub(super) fn check(&self) -> Result<()> {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(600));
        if (least..=most).contains(&self.connect_timeout) {
            return Ok(());
        }
        let shown = humantime::format_duration;
        Err(Error::configuration(format!("`connect_timeout: {}` is out of range", shown(self.connect_timeout)))
            .code(OUT_OF_RANGE)
            .key(["connection", "connect_timeout"])
            .hint(format!("{} to {}", shown(least), shown(most))))
    }
}

impl Default for MysqlConnection {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            user: None,
            password: None,
            database: None,
            tls: MysqlTls::default(),
            connect_timeout: ten_seconds(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let config = MysqlConnection { password: Some(Secret::new("hunter2")), ..MysqlConnection::of_url("mysql://u:hunter2@h/d") };
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_time_that_is_out_of_range_names_its_key() {
        let config = MysqlConnection { connect_timeout: Duration::from_secs(3600), ..MysqlConnection::default() };
        assert!(config.check().unwrap_err().message().contains("`connect_timeout: 1h`"));
    }
}
