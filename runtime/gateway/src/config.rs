//! Where a server listens, and its limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_connect::period;
use wasmill_engine::{Error, Result};

use crate::codes::{ADDRESS, ADDRESS_IN_USE};

/// `server: { listen: "127.0.0.1:8082" }`
///
/// The server: its address and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// `listen: "127.0.0.1:8082"`
    ///
    /// The address and the port. A port alone listens on this machine only; `0.0.0.0:8082` listens
    /// on all addresses.
    pub listen: String,
    /// `tls: { certificate: server.pem, key: server.key }`
    ///
    /// Encrypts connections with the server's own certificate. Default: plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// `max_body: 8MiB`
    ///
    /// The largest body of a request, also after decompression; a larger one is answered with 413.
    /// 1 KiB to 256 MiB. Default: 8MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_body: Option<ByteSize>,
    /// `max_buffered: 256MiB`
    ///
    /// The bodies of all requests together; beyond it requests are answered with 429. Default: 256MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_buffered: Option<ByteSize>,
    /// `max_connections: 1024`
    ///
    /// Connections at a time. Others wait in the queue of the operating system. 1 to 65,535. Default: 1024.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub max_connections: Option<u32>,
    /// `header_timeout: 30s`
    ///
    /// How long a connection may be idle, or its client take to send the headers of a request. 1s to 1h. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_timeout: Option<String>,
    /// `body_timeout: 30s`
    ///
    /// How long a client may take to send a body; a slower one is answered with 408. 1s to 1h. Default: 30s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_timeout: Option<String>,
    /// `stop_timeout: 10s`
    ///
    /// How long a server that stops waits for the answers of requests under way. 0s to 10min. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<String>,
    /// `access_log: true`
    ///
    /// Whether each request is logged on standard error as one line of JSON: time, client, method,
    /// path, status, bytes and milliseconds, and never a body, a query or a header. Default: false.
    #[serde(default)]
    pub access_log: bool,
}

/// `tls: { certificate: server.pem, key: server.key }`
///
/// PEM files, read at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// `certificate: server.pem`
    ///
    /// The certificate of the server, then those of the authorities between it and a root.
    pub certificate: String,
    /// `key: server.key`
    ///
    /// The private key of the certificate.
    pub key: String,
}

/// The limits of a server, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub address: SocketAddr,
    pub max_body: usize,
    pub max_buffered: usize,
    pub max_connections: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub stop_timeout: Duration,
}

impl ServerConfig {
    /// A server at an address, with defaults.
    pub fn at(listen: impl Into<String>) -> Self {
        Self {
            listen: listen.into(),
            tls: None,
            max_body: None,
            max_buffered: None,
            max_connections: None,
            header_timeout: None,
            body_timeout: None,
            stop_timeout: None,
            access_log: false,
        }
    }

    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A configuration error that names the key.
    pub fn check(&self) -> Result<()> {
        self.limits().map(drop)
    }

    /// The address, for readers: `http://127.0.0.1:8082`.
    ///
    /// # Errors
    /// Configuration: it is none.
    pub fn url(&self) -> Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.address()?))
    }

    /// Whether the address can be listened at now.
    ///
    /// # Errors
    /// Configuration: it is none. Environment: it is taken.
    pub fn is_free(&self) -> Result<()> {
        let address = self.address()?;
        let bound = std::net::TcpListener::bind(address);
        bound.map(drop).map_err(|error| Error::environment(format!("cannot listen at {address}: {error}")).code(ADDRESS_IN_USE))
    }

    fn address(&self) -> Result<SocketAddr> {
        let text = self.listen.trim();
        let port = || text.trim_start_matches(':').parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        let host = || {
            let port = text.strip_prefix("localhost:")?.parse().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        };
        text.parse().ok().or_else(port).or_else(host).ok_or_else(|| {
            Error::configuration(format!("`listen`: {text:?} is not an address and a port"))
                .code(ADDRESS)
                .key(["listen"])
                .hint("for example: listen: \"127.0.0.1:8082\"")
        })
    }

    pub(crate) fn limits(&self) -> Result<Limits> {
        let second = Duration::from_secs(1);
        let time = |key, text: &Option<String>, default: u64, least, most: u64| {
            period::read(key, text.as_deref(), Duration::from_secs(default), least, Duration::from_secs(most))
        };
        let max_connections = self.max_connections.unwrap_or(1024);
        if !(1..=65_535).contains(&max_connections) {
            return Err(Error::configuration("`max_connections` must be 1 to 65535").code(OUT_OF_RANGE).key(["max_connections"]));
        }
        let max_body = size("max_body", self.max_body, 8 << 20, 1 << 10, 256 << 20)?;
        Ok(Limits {
            address: self.address()?,
            max_body,
            max_buffered: size("max_buffered", self.max_buffered, (256 << 20).max(max_body), max_body, 64 << 30)?,
            max_connections: max_connections as usize,
            header_timeout: time("header_timeout", &self.header_timeout, 30, second, 3600)?,
            body_timeout: time("body_timeout", &self.body_timeout, 30, second, 3600)?,
            stop_timeout: time("stop_timeout", &self.stop_timeout, 10, Duration::ZERO, 600)?,
        })
    }
}

fn size(key: &'static str, size: Option<ByteSize>, default: usize, least: usize, most: usize) -> Result<usize> {
    let Some(size) = size else { return Ok(default) };
    let bytes = usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    if (least..=most).contains(&bytes) {
        return Ok(bytes);
    }
    let shown = |bytes: usize| ByteSize::b(bytes as u64);
    Err(Error::configuration(format!("`{key}` is {size}: it must be {} to {}", shown(least), shown(most))).code(OUT_OF_RANGE).key([key]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_listens_beyond_this_machine_unless_the_file_says_so() {
        let address = |listen: &str| ServerConfig::at(listen).address().map(|address| address.to_string());
        for text in ["8082", ":8082", "localhost:8082", "127.0.0.1:8082"] {
            assert_eq!(address(text).unwrap(), "127.0.0.1:8082", "{text}");
        }
        assert_eq!(address("0.0.0.0:80").unwrap(), "0.0.0.0:80");
        assert_eq!(address("[::1]:80").unwrap(), "[::1]:80");
        for text in ["", "somewhere", "127.0.0.1", "1.2.3.4:99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_have_bounds_and_name_their_key() {
        let refused = |change: fn(&mut ServerConfig)| {
            let mut config = ServerConfig::at("1");
            change(&mut config);
            config.check().unwrap_err().key_path().to_vec()
        };
        assert_eq!(refused(|config| config.max_body = Some(ByteSize::gb(1))), ["max_body"]);
        assert_eq!(refused(|config| config.max_buffered = Some(ByteSize::kib(1))), ["max_buffered"]);
        assert_eq!(refused(|config| config.max_connections = Some(0)), ["max_connections"]);
        assert_eq!(refused(|config| config.body_timeout = Some("0s".into())), ["body_timeout"]);
        ServerConfig::at("1").check().unwrap();
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(ServerConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
