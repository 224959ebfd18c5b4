//! What the clients of AWS share: who to be (a key that was given, or what AWS's own chain finds, and a role to take on with it), and how to reach servers.

use std::sync::OnceLock;
use std::time::SystemTime;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use wasmill_engine::{Error, Result};

use crate::secret::Secret;

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

impl Key<'_> {
    /// The key as AWS's libraries take it.
    pub fn credentials(&self) -> Credentials {
        let token = self.session_token.map(|token| token.reveal().to_owned());
        Credentials::new(self.id, self.secret.reveal(), token, None, "pipeline")
    }
}

/// The client of HTTP, with its connections: one a process.
fn http() -> SharedHttpClient {
    static HTTP: OnceLock<SharedHttpClient> = OnceLock::new();
    let build = || aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    HTTP.get_or_init(build).clone()
}

/// What AWS's own configuration says: the environment, the profile. Asks the instance for its region only where `region` is not known.
pub async fn configuration(region: Option<&str>, profile: Option<&str>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http());
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

/// Who gives the credentials: the key, or else the chain; and the role that they take on. None if there is neither key nor chain.
pub async fn credentials(sdk: &SdkConfig, key: Option<Key<'_>>, role: Option<&AssumeRole>) -> Option<SharedCredentialsProvider> {
    let base = match key {
        Some(key) => SharedCredentialsProvider::new(key.credentials()),
        None => sdk.credentials_provider()?,
    };
    let Some(role) = role else { return Some(base) };
    let mut builder = AssumeRoleProvider::builder(&role.arn).session_name(&role.session_name).configure(sdk);
    if let Some(id) = &role.external_id {
        builder = builder.external_id(id);
    }
    Some(SharedCredentialsProvider::new(builder.build_from_provider(base).await))
}

/// Tells the server's time of every answer.
pub struct Dates<F>(pub F);

impl<F> std::fmt::Debug for Dates<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dates")
    }
}

impl<F: Fn(SystemTime) + Send + Sync> Intercept for Dates<F> {
    fn name(&self) -> &'static str {
        "dates"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(time) = date.and_then(|date| SystemTime::try_from(date).ok()) {
            (self.0)(time);
        }
        Ok(())
    }
}

/// Fails unless a key is given as a whole, or not at all.
pub fn check_key(has_id: bool, has_secret: bool, has_token: bool) -> Result<()> {
    if has_id != has_secret {
        return Err(Error::configuration("`access_key_id` and `secret_access_key` belong together, and one of them is missing")
            .hint("leave both out to take credentials from the environment, a profile or the instance"));
    }
    if has_token && !has_id {
        return Err(Error::configuration("`session_token` is of no use without `access_key_id` and `secret_access_key`"));
    }
    Ok(())
}

/// Fails unless it is the address of a server.
pub fn check_endpoint(endpoint: &str) -> Result<Url> {
    let bad = |why: String| Error::configuration(format!("`endpoint` {why}")).hint("write it as https://host or http://host:port");
    let url = Url::parse(endpoint).map_err(|error| bad(format!("is not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("is not an address of http or https".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user or password".to_owned()));
    }
    Ok(url)
}
