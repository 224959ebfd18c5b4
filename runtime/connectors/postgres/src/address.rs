//! How to reach a server, as pipelines declare it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use wasmill_connect::{Secret, period};
use wasmill_engine::Result;

use super::config::within;

/// How to reach a PostgreSQL server, and with which credentials.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresConnection {
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
    /// `tls: { mode: verify-full, ca: ca.pem }`
    ///
    /// How the connection is protected.
    #[serde(default)]
    pub tls: PostgresTls,
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
pub struct PostgresTls {
    /// `mode: verify-full`
    ///
    /// `disable`: none. `prefer`: where the server offers it, without verifying anything.
    /// `require`: always, without verifying anything. `verify-ca`: the server's certificate must be
    /// signed by `ca`. `verify-full`: and must match the host's name. Default: `verify-full` where
    /// `ca` is given, otherwise the `sslmode` of the URL, otherwise `prefer`.
    pub mode: Option<PostgresTlsMode>,
    /// `ca: /etc/ssl/pg-ca.pem`
    ///
    /// The certificates of the authorities to trust, as PEM. Default for `verify-full`: those of the system.
    pub ca: Option<String>,
    /// `certificate: client.pem`
    ///
    /// The client's certificate, as PEM; with `key`, and with `ca` where the server's is verified.
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

impl PostgresConnection {
    /// A server, by its URL.
    pub fn of_url(url: impl Into<String>) -> Self {
        Self { url: Some(Secret::new(url)), ..Self::default() }
    }

    /// What is wrong with the values.
    pub(super) fn check(&self) -> Result<()> {
        let second = Duration::from_secs(1);
        within("connect_timeout", self.connect_timeout, second / 10, 600 * second).map_err(|error| error.below("connection"))
    }
}

impl Default for PostgresConnection {
    fn default() -> Self {
        Self {
            url: None,
            host: None,
            port: None,
            user: None,
            password: None,
            database: None,
            tls: PostgresTls::default(),
            connect_timeout: ten_seconds(),
        }
    }
}
