//! Credentials for AWS and for services with its APIs: a given key, or what AWS's default chain
//! finds, and a role to assume with it.

#[cfg(feature = "aws")]
mod client;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use wasmill_engine::{Error, Result};

use crate::codes::{ENDPOINT, KEY_INCOMPLETE};
use crate::secret::Secret;
use crate::server::{Address, Server};

#[cfg(feature = "aws")]
pub use client::{Dates, configuration, credentials};

/// The hint where no credentials are found.
pub const NO_CREDENTIALS: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, a web identity or the role of the instance, or give a key in the pipeline file";

/// A role to take on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssumeRole {
    /// `arn: "arn:aws:iam::123456789012:role/lake"`
    ///
    /// The role.
    pub arn: String,
    /// `external_id: our-agreement`
    ///
    /// What the role's owner asks others for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// `session_name: wasmill`
    ///
    /// How the session is called in AWS's logs.
    #[serde(default = "default_session_name")]
    pub session_name: String,
}

fn default_session_name() -> String {
    "wasmill".to_owned()
}

impl AssumeRole {
    /// A role, with nothing else said.
    pub fn new(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), external_id: None, session_name: default_session_name() }
    }
}

/// A key from the pipeline file.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Its id.
    pub id: &'a str,
    /// The secret half of the key.
    pub secret: &'a Secret,
    /// What comes with keys for a while.
    pub session_token: Option<&'a Secret>,
}

/// A service of AWS, or a compatible one: `s3 127.0.0.1:9000`, `kinesis
/// kinesis.eu-central-1.amazonaws.com:443`. What is not given comes from the environment. The files
/// of AWS's configuration are read only when the service is to be reached.
pub fn server(service: &'static str, endpoint: Option<&str>, region: Option<&str>, profile: Option<&str>) -> Server {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let specific = || variable(&format!("AWS_ENDPOINT_URL_{}", service.to_uppercase()));
    let endpoint = endpoint.map(str::to_owned).or_else(specific);
    let shown = endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL")).map(|endpoint| Address::of_url(&endpoint));
    let region = region.map(str::to_owned).or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    let words = match (shown, &region) {
        (Some(Some(address)), _) => format!("{service} {address}"),
        (Some(None), _) => service.to_owned(),
        (None, Some(region)) => format!("{service} {}:443", host(service, region)),
        (None, None) => format!("{service} of AWS"),
    };
    let profile = profile.map(str::to_owned);
    Server::found_later(words, move || addresses(service, endpoint.as_deref(), region.as_deref(), profile.as_deref()))
}

/// The host of a service in a region.
fn host(service: &str, region: &str) -> String {
    format!("{service}.{region}.amazonaws.com{}", if region.starts_with("cn-") { ".cn" } else { "" })
}

#[cfg(not(feature = "aws"))]
fn addresses(_: &str, endpoint: Option<&str>, _: Option<&str>, _: Option<&str>) -> Vec<Address> {
    endpoint.and_then(Address::of_url).into_iter().collect()
}

#[cfg(feature = "aws")]
fn addresses(service: &str, endpoint: Option<&str>, region: Option<&str>, profile: Option<&str>) -> Vec<Address> {
    let find = async {
        if let Some(endpoint) = endpoint {
            return Address::of_url(endpoint);
        }
        let sdk = configuration(region, profile).await;
        if let Some(endpoint) = sdk.endpoint_url() {
            return Address::of_url(endpoint);
        }
        // Its client knows their hosts.
        if sdk.use_fips() == Some(true) || sdk.use_dual_stack() == Some(true) {
            return None;
        }
        sdk.region().filter(|region| !region.as_ref().contains("-iso")).map(|region| Address::Tcp(host(service, region.as_ref()), 443))
    };
    crate::threads::handle().ok().and_then(|threads| threads.block_on(find)).into_iter().collect()
}

/// Fails unless a key is given completely, or not at all.
pub fn check_key(has_id: bool, has_secret: bool, has_token: bool) -> Result<()> {
    if has_id != has_secret {
        return Err(Error::configuration("`access_key_id` and `secret_access_key` belong together, and one of them is missing")
            .code(KEY_INCOMPLETE)
            .key(["access_key_id"])
            .hint("leave both out to take credentials from the environment, a profile or the instance"));
    }
    if has_token && !has_id {
        return Err(Error::configuration("`session_token` is of no use without `access_key_id` and `secret_access_key`")
            .code(KEY_INCOMPLETE)
            .key(["session_token"]));
    }
    Ok(())
}

/// Fails unless it is the address of a server.
pub fn check_endpoint(endpoint: &str) -> Result<Url> {
    let bad = |why: String| {
        Error::configuration(format!("`endpoint` {why}"))
            .code(ENDPOINT)
            .key(["endpoint"])
            .hint("write it as https://host or http://host:port")
    };
    let url = Url::parse(endpoint).map_err(|error| bad(format!("is not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("is not an address of http or https".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user or password".to_owned()));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_by_where_they_are() {
        let words = |endpoint, region| server("s3", endpoint, region, None).words().to_owned();
        assert_eq!(words(Some("http://127.0.0.1:9000"), Some("eu-central-1")), "s3 127.0.0.1:9000");
        assert_eq!(words(Some("https://me:hunter2@store.example/x"), None), "s3 store.example:443");
        assert_eq!(words(Some("nonsense"), None), "s3");
        assert_eq!(host("kinesis", "eu-central-1"), "kinesis.eu-central-1.amazonaws.com");
        assert_eq!(host("kinesis", "cn-north-1"), "kinesis.cn-north-1.amazonaws.com.cn");
    }
}
