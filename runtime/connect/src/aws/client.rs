//! What the clients of AWS share: credentials as its libraries take them, one client of HTTP, the times of its servers.

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

use super::{AssumeRole, Key};

impl Key<'_> {
    /// The key as AWS's libraries take it.
    pub fn credentials(&self) -> Credentials {
        let token = self.session_token.map(|token| token.reveal().to_owned());
        Credentials::new(self.id, self.secret.reveal(), token, None, "pipeline")
    }
}

/// The HTTP client with its connections: one per process.
fn http() -> SharedHttpClient {
    static HTTP: OnceLock<SharedHttpClient> = OnceLock::new();
    let build = || aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    HTTP.get_or_init(build).clone()
}

/// AWS's own configuration: the environment, the profile. Queries the instance for its region only
/// where `region` is not known.
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

/// The provider of credentials: the key, or else the chain, and the role that they assume. `None`
/// if there is neither key nor chain.
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

/// Records the server's time of every response.
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
