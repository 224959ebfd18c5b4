//! How to reach Kinesis, and with which credentials.

use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::IdentityCache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use super::clock::Clock;
use wasmill_connect::Secret;
use wasmill_connect::aws::{self, AssumeRole, Key};
use wasmill_connect::codes::NO_REGION;
use wasmill_connect::credentials;
use wasmill_connect::registry::Server;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a response may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// How to reach Kinesis, and with which credentials. What is left out comes from where AWS's own
/// tools take it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KinesisConnection {
    /// `endpoint: http://127.0.0.1:4567`
    ///
    /// The address of a server that is not AWS's own. Default: `AWS_ENDPOINT_URL_KINESIS`, `AWS_ENDPOINT_URL`, or AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `region: eu-central-1`
    ///
    /// The stream's region. Default: `AWS_REGION`, the profile's, the instance's; `us-east-1` where there is an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `access_key_id: ${env:KINESIS_ACCESS_KEY_ID}`
    ///
    /// A key of its own, together with `secret_access_key`. Default: AWS's chain, which is the
    /// environment, a profile, a web identity, a container, the instance. Credentials of the chain
    /// are renewed before they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// `secret_access_key: ${env:KINESIS_SECRET_ACCESS_KEY}`
    ///
    /// The key's secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Secret>,
    /// `session_token: ${env:KINESIS_SESSION_TOKEN}`
    ///
    /// The token of a key that is for some time only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// `profile: streams`
    ///
    /// The profile in AWS's configuration files. Default: `AWS_PROFILE`, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `assume_role: { arn: "arn:aws:iam::123456789012:role/streams" }`
    ///
    /// A role to take on, with the credentials found so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
}

impl KinesisConnection {
    /// The service.
    pub(super) fn server(&self) -> Server {
        aws::server("kinesis", self.endpoint.as_deref(), self.region.as_deref(), self.profile.as_deref())
    }

    /// What is wrong with the values.
    ///
    /// # Errors
    /// Configuration.
    pub fn check(&self) -> Result<()> {
        if let Some(endpoint) = &self.endpoint {
            aws::check_endpoint(endpoint)?;
        }
        aws::check_key(self.access_key_id.is_some(), self.secret_access_key.is_some(), self.session_token.is_some())
    }

    /// A client. It never retries by itself: the caller decides, and counts.
    pub(super) async fn client(&self, clock: &Arc<Clock>) -> Result<Client> {
        let region = self.region.clone().or_else(|| self.endpoint.is_some().then(|| region_of_environment("us-east-1")));
        let sdk = aws::configuration(region.as_deref(), self.profile.as_deref()).await;
        let Some(region) = sdk.region().cloned() else {
            return Err(Error::environment("the region of the stream is not set")
                .code(NO_REGION)
                .key(["region"])
                .hint("set `connection: { region: … }` or AWS_REGION"));
        };
        let key = self.access_key_id.as_deref().zip(self.secret_access_key.as_ref());
        let key = key.map(|(id, secret)| Key { id, secret, session_token: self.session_token.as_ref() });
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .read_timeout(RESPONSE_TIMEOUT)
            .operation_attempt_timeout(RESPONSE_TIMEOUT)
            .build();
        let mut config = aws_sdk_kinesis::config::Builder::from(&sdk)
            .region(Region::new(region.to_string()))
            .credentials_provider(credentials::provider(&sdk, key, self.assume_role.as_ref()).await?)
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            // A subscription to a shard without records is silent for seconds.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(clock.watch());
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Ok(Client::from_conf(config.build()))
    }
}

fn region_of_environment(default: &str) -> String {
    let set = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
    set.filter(|region| !region.is_empty()).unwrap_or_else(|| default.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_opens_with_its_own_line() {
        let schema = serde_json::to_value(schemars::schema_for!(KinesisConnection)).unwrap();
        for (name, field) in schema["properties"].as_object().unwrap() {
            let described = field["description"].as_str().unwrap_or_default();
            assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
        }
    }

    #[test]
    fn keys_do_not_show_and_come_in_pairs() {
        let check = |json: &str| serde_json::from_str::<KinesisConnection>(json).unwrap().check();
        assert!(check(r#"{"endpoint": "http://127.0.0.1:4567", "access_key_id": "a", "secret_access_key": "b"}"#).is_ok());
        for bad in [r#"{"access_key_id": "a"}"#, r#"{"session_token": "a"}"#, r#"{"endpoint": "h:1"}"#] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let connection = KinesisConnection { secret_access_key: Some(Secret::new("hidden")), ..KinesisConnection::default() };
        assert!(!format!("{connection:?}").contains("hidden"));
    }
}
