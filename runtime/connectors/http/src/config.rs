//! The configuration of the source `http`.

use std::time::Duration;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_connect::codes::OUT_OF_RANGE;
use wasmill_connect::period;
use wasmill_engine::{Error, Result};
use wasmill_gateway::{Credential, RouteOptions, ServerConfig, check_credentials, check_prefix};

use crate::codes::NAME;
use crate::log::Limits;

/// `http: { server: { listen: "127.0.0.1:8080" } }`
///
/// Takes records that are posted: documents at `/ingest/NAME`, records of Kafka's REST proxy at
/// `/topics/NAME`, and records of Kinesis behind an API gateway at `/streams/NAME`. A request is
/// answered when it is durable on the disk, and each of its records is then read exactly once.
///
/// A stream listens. A batch, and a run with `--drain`, reads what was accepted before and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// `server: { listen: "127.0.0.1:8080" }`
    ///
    /// Where it listens, and its limits. Sources of a pipeline may share an address.
    pub server: ServerConfig,
    /// `names: [0a1b2c.pin, streaming-0a1b2c-pin]`
    ///
    /// The names that producers post to: topics, streams, documents. Default: the name of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub names: Option<Vec<String>>,
    /// `prefix: /test`
    ///
    /// What all paths begin with, such as the stage of an API gateway. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// `auth: [{ token: "${secret:TOKEN}" }]`
    ///
    /// What a request may authenticate with. Default: nothing is asked for.
    #[serde(default)]
    pub auth: Vec<Credential>,
    /// `rate: 1000`
    ///
    /// The most requests per second; others are answered with 429. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub rate: Option<u32>,
    /// `format: json`
    ///
    /// `json`: each record is one JSON object. `raw`: the record as it is, in one column `value`
    /// (binary, or text if the schema declares it).
    #[serde(default)]
    pub format: HttpFormat,
    /// `max_log: 1GiB`
    ///
    /// The most bytes of records that were accepted and are not committed yet; then requests are
    /// answered with 429. 1 MiB to 1 TiB. Default: 1GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_log: Option<ByteSize>,
    /// `keep_keys: 24h`
    ///
    /// How long the keys of requests (`Idempotency-Key`) are remembered. 1min to 30days. Default: 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_keys: Option<String>,
    /// `folder: /var/lib/wasmill/http`
    ///
    /// Where the log of accepted requests lies, below the names of pipeline and source. Needed where
    /// the state of the pipeline lies in a bucket. Default: in the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// What a record is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpFormat {
    /// One JSON object.
    #[default]
    Json,
    /// Bytes, in the column `value`.
    Raw,
}

impl HttpConfig {
    /// A source that listens at an address, with defaults.
    pub fn at(listen: impl Into<String>) -> Self {
        Self {
            server: ServerConfig::at(listen),
            names: None,
            prefix: None,
            auth: Vec::new(),
            rate: None,
            format: HttpFormat::Json,
            max_log: None,
            keep_keys: None,
            folder: None,
        }
    }

    /// Checks what the types can't express.
    ///
    /// # Errors
    /// A configuration error that names the key.
    pub fn check(&self) -> Result<()> {
        self.server.check().map_err(|error| error.below("server"))?;
        self.prefix.as_deref().map(check_prefix).transpose()?;
        check_credentials(&self.auth)?;
        self.limits()?;
        if self.rate == Some(0) {
            return Err(Error::configuration("`rate` must be 1 or more").code(OUT_OF_RANGE).key(["rate"]));
        }
        for name in self.names.iter().flatten() {
            check_name(name)?;
        }
        Ok(())
    }

    /// The names that the source `source` answers to.
    pub(crate) fn names_of(&self, source: &str) -> Vec<String> {
        self.names.clone().unwrap_or_else(|| vec![source.to_owned()])
    }

    pub(crate) fn options(&self) -> RouteOptions {
        RouteOptions { prefix: self.prefix.clone(), auth: self.auth.clone(), rate: self.rate, max_body: None }
    }

    pub(crate) fn limits(&self) -> Result<Limits> {
        let max_bytes = self.max_log.map_or(1 << 30, |size| size.as_u64());
        if !(1 << 20..=1 << 40).contains(&max_bytes) {
            return Err(Error::configuration("`max_log` must be between 1 MiB and 1 TiB").code(OUT_OF_RANGE).key(["max_log"]));
        }
        let day = Duration::from_secs(24 * 3600);
        let keep_keys = period::read("keep_keys", self.keep_keys.as_deref(), day, Duration::from_secs(60), 30 * day)?;
        Ok(Limits { max_bytes, keep_keys })
    }
}

/// Whether producers can post to a name.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=249).contains(&name.len()) && name.bytes().all(is_plain) && name != "." && name != ".." {
        return Ok(());
    }
    Err(Error::configuration(format!("`names`: {name:?} can't be a part of a path"))
        .code(NAME)
        .key(["names"])
        .hint("use 1 to 249 letters, digits, `.`, `_` and `-`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_their_key() {
        let refused = |change: fn(&mut HttpConfig)| {
            let mut config = HttpConfig::at("8080");
            config.check().unwrap();
            change(&mut config);
            config.check().unwrap_err().key_path().join(".")
        };
        assert_eq!(refused(|config| config.server.listen = "x".into()), "server.listen");
        assert_eq!(refused(|config| config.names = Some(vec!["a/b".into()])), "names");
        assert_eq!(refused(|config| config.prefix = Some("test".into())), "prefix");
        assert_eq!(refused(|config| config.auth = vec![Credential::default()]), "auth");
        assert_eq!(refused(|config| config.max_log = Some(ByteSize::kib(1))), "max_log");
        assert_eq!(refused(|config| config.keep_keys = Some("1s".into())), "keep_keys");
        assert_eq!(refused(|config| config.rate = Some(0)), "rate");
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(HttpConfig)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }
}
