//! How to reach a store, and with which credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::Result;

use wasmill_connect::Secret;
use wasmill_connect::aws::{self, AssumeRole, Key};
use wasmill_connect::registry::Server;

/// How to reach a store with the S3 API, and with which credentials. What is left out comes from
/// where AWS's own tools take it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// `endpoint: http://127.0.0.1:9000`
    ///
    /// The address of a store that is not AWS's own. Default: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `region: eu-central-1`
    ///
    /// The bucket's region. Default: `AWS_REGION`, the profile's, the instance's; `us-east-1` where there is an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `path_style: true`
    ///
    /// Whether the bucket is in the path of an address (`host/bucket/key`) instead of its host
    /// (`bucket.host/key`). Default: in the path where there is an endpoint, in the host with AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// `access_key_id: ${env:S3_ACCESS_KEY_ID}`
    ///
    /// A key of its own, together with `secret_access_key`. Default: AWS's chain, which is the
    /// environment, a profile, a web identity, a container, the instance. Credentials of the chain
    /// are renewed before they expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// `secret_access_key: ${env:S3_SECRET_ACCESS_KEY}`
    ///
    /// The key's secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<Secret>,
    /// `session_token: ${env:S3_SESSION_TOKEN}`
    ///
    /// The token of a key that is for some time only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// `profile: lake`
    ///
    /// The profile in AWS's configuration files. Default: `AWS_PROFILE`, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `assume_role: { arn: "arn:aws:iam::123456789012:role/lake" }`
    ///
    /// A role to take on, with the credentials found so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
}

impl S3Config {
    /// The given key.
    pub fn key(&self) -> Option<Key<'_>> {
        let (id, secret) = self.access_key_id.as_deref().zip(self.secret_access_key.as_ref())?;
        Some(Key { id, secret, session_token: self.session_token.as_ref() })
    }

    /// The store.
    pub fn server(&self) -> Server {
        aws::server("s3", self.endpoint.as_deref(), self.region.as_deref(), self.profile.as_deref())
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_pairs_and_endpoints_are_addresses() {
        let check = |json: &str| serde_json::from_str::<S3Config>(json).unwrap().check();
        assert!(check("{}").is_ok());
        assert!(check(r#"{"endpoint": "http://127.0.0.1:8333", "access_key_id": "a", "secret_access_key": "b"}"#).is_ok());
        for bad in [
            r#"{"access_key_id": "a"}"#,
            r#"{"secret_access_key": "a"}"#,
            r#"{"session_token": "a"}"#,
            r#"{"endpoint": "127.0.0.1:8333"}"#,
            r#"{"endpoint": "ftp://host"}"#,
            r#"{"endpoint": "http://me:pw@host"}"#,
        ] {
            let error = check(bad).unwrap_err();
            assert_eq!(error.class(), wasmill_engine::Class::Configuration);
            assert!(!error.to_string().contains("pw"), "{error}");
        }
    }

    #[test]
    fn every_field_opens_with_its_own_line() {
        for schema in [schemars::schema_for!(S3Config), schemars::schema_for!(AssumeRole)] {
            let schema = serde_json::to_value(schema).unwrap();
            for (name, field) in schema["properties"].as_object().unwrap() {
                let described = field["description"].as_str().unwrap_or_default();
                assert!(described.starts_with(&format!("`{name}: ")), "{name}: {described}");
            }
        }
    }
}
