//! Who to be for AWS and for what speaks its languages: a key that was given, or what AWS's own chain finds, and a role to take on with it.

#[cfg(feature = "aws")]
mod client;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use wasmill_engine::{Error, Result};

use crate::secret::Secret;

#[cfg(feature = "aws")]
pub use client::{Dates, configuration, credentials};

/// What to say to the one who finds no credentials.
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

/// A key that the pipeline file gives.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// Its id.
    pub id: &'a str,
    /// What only its owner knows.
    pub secret: &'a Secret,
    /// What comes with keys for a while.
    pub session_token: Option<&'a Secret>,
}

/// Fails unless a key is given as a whole, or not at all.
pub fn check_key(has_id: bool, has_secret: bool, has_token: bool) -> Result<()> {
    if has_id != has_secret {
        return Err(Error::configuration("`access_key_id` and `secret_access_key` belong together, and one of them is missing")
            .key(["access_key_id"])
            .hint("leave both out to take credentials from the environment, a profile or the instance"));
    }
    if has_token && !has_id {
        return Err(
            Error::configuration("`session_token` is of no use without `access_key_id` and `secret_access_key`").key(["session_token"])
        );
    }
    Ok(())
}

/// Fails unless it is the address of a server.
pub fn check_endpoint(endpoint: &str) -> Result<Url> {
    let bad = |why: String| {
        Error::configuration(format!("`endpoint` {why}")).key(["endpoint"]).hint("write it as https://host or http://host:port")
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
