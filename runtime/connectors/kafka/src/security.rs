//! Encryption and authentication: the file's configuration as options of librdkafka.

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmill_engine::{Error, Result};

use wasmill_connect::Secret;

use crate::codes::SECURITY;

/// `security: { tls: {}, sasl: { mechanism: scram-sha-512, username: mill, password: "${env:KAFKA_PASSWORD}" } }`
///
/// `tls` encrypts the connection, `sasl` authenticates the client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Security {
    /// `tls: { ca: ca.pem }`
    ///
    /// Encrypts the connection, and verifies the brokers. `{}` trusts the system's certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// `sasl: { mechanism: plain, username: mill, password: "${env:KAFKA_PASSWORD}" }`
    ///
    /// A name and a password, or a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// `auth: msk_iam`
    ///
    /// Instead of `sasl`: Amazon MSK with IAM. Tokens are signed with the credentials that AWS's usual chain finds (environment, profile, web
    /// identity, container, instance), and renewed before they expire. Always with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// `aws: { region: eu-west-1, role: "arn:aws:iam::123456789012:role/mill" }`
    ///
    /// Which credentials `auth: msk_iam` takes. Default: what the chain finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
}

/// Other ways to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `msk_iam`: Amazon MSK with IAM.
    MskIam,
}

/// `aws: { region: eu-west-1, profile: mill, role: "arn:aws:iam::123456789012:role/mill" }`
///
/// Which credentials of AWS to take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// `region: eu-west-1`
    ///
    /// The region of the cluster. Default: by the environment or the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `profile: mill`
    ///
    /// A profile of the shared configuration files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `role: "arn:aws:iam::123456789012:role/mill"`
    ///
    /// A role to assume with those credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// `tls: { ca: ca.pem, certificate: client.pem, key: client.key }`
///
/// PEM files, read at the start of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// `ca: ca.pem`
    ///
    /// The certificates to trust. Default: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// `certificate: client.pem`
    ///
    /// The client's own certificate, where the brokers require one. Together with `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// `key: client.key`
    ///
    /// The private key of `certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `key_password: "${env:KEY_PASSWORD}"`
    ///
    /// The password of `key`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_password: Option<Secret>,
    /// `check_host: true`
    ///
    /// Whether a broker's certificate must be for the host that was dialled. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_host: Option<bool>,
}

/// `sasl: { mechanism: scram-sha-512, username: mill, password: "${env:KAFKA_PASSWORD}" }`
///
/// How to authenticate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// `mechanism: scram-sha-512`
    ///
    /// `plain`, `scram-sha-256`, `scram-sha-512` (with `username` and `password`) or `oauthbearer` (with `token_file`).
    pub mechanism: Mechanism,
    /// `username: mill`
    ///
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `password: "${env:KAFKA_PASSWORD}"`
    ///
    /// The password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// `token_file: /var/run/secrets/kafka/token`
    ///
    /// A file that holds a JSON Web Token. It is re-read whenever four fifths of the token's life
    /// are over; the process that writes the file must renew it by then. At most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

/// How a name is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// `plain`: the password itself; only with TLS.
    Plain,
    /// `scram-sha-256`: the password never crosses the wire.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// `scram-sha-512`: the same with a longer digest.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// `oauthbearer`: a token.
    Oauthbearer,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::Oauthbearer => "OAUTHBEARER",
        }
    }
}

impl Security {
    pub(super) fn check(&self) -> Result<()> {
        if let Some(tls) = &self.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            return Err(Error::configuration("`security: tls`: `certificate` and `key` belong together")
                .code(SECURITY)
                .key(["security", "tls"]));
        }
        if self.aws.is_some() && self.auth.is_none() {
            return Err(Error::configuration("`security: aws` belongs to `auth: msk_iam`").code(SECURITY).key(["security", "aws"]));
        }
        if self.auth.is_some() && self.sasl.is_some() {
            return Err(Error::configuration("`security`: `auth` and `sasl` exclude each other").code(SECURITY).key(["security"]));
        }
        let Some(sasl) = &self.sasl else { return Ok(()) };
        let with_password = sasl.mechanism != Mechanism::Oauthbearer;
        if with_password && (sasl.username.is_none() || sasl.password.is_none()) {
            return Err(Error::configuration("`security: sasl`: `username` and `password` are missing")
                .code(SECURITY)
                .key(["security", "sasl"]));
        }
        if with_password != sasl.token_file.is_none() {
            return Err(Error::configuration("`security: sasl`: `token_file` belongs to the mechanism oauthbearer, and to no other")
                .code(SECURITY)
                .key(["security", "sasl"]));
        }
        if sasl.mechanism == Mechanism::Plain && self.tls.is_none() {
            return Err(Error::configuration("`security: sasl`: the mechanism plain would send the password in plain text")
                .code(SECURITY)
                .key(["security", "sasl"])
                .hint("add `tls: {}`, or use scram-sha-512"));
        }
        Ok(())
    }

    /// The options of librdkafka.
    pub(super) fn apply(&self, client: &mut ClientConfig) {
        let protocol = match (&self.tls, &self.sasl) {
            _ if self.auth.is_some() => "sasl_ssl",
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if cfg!(feature = "vendored-openssl") && protocol.ends_with("ssl") && !has_certificates_of_its_own() {
            // It searches where systems keep the certificates that they trust.
            client.set("ssl.ca.location", "probe");
        }
        if let Some(tls) = &self.tls {
            let options = [
                ("ssl.ca.location", tls.ca.as_deref()),
                ("ssl.certificate.location", tls.certificate.as_deref()),
                ("ssl.key.location", tls.key.as_deref()),
                ("ssl.key.password", tls.key_password.as_ref().map(Secret::reveal)),
            ];
            for (key, value) in options {
                value.map(|value| client.set(key, value));
            }
            let check = if tls.check_host.unwrap_or(true) { "https" } else { "none" };
            client.set("ssl.endpoint.identification.algorithm", check);
        }
        if self.auth.is_some() {
            client.set("sasl.mechanisms", Mechanism::Oauthbearer.name());
        }
        if let Some(sasl) = &self.sasl {
            client.set("sasl.mechanisms", sasl.mechanism.name());
            sasl.username.as_ref().map(|name| client.set("sasl.username", name));
            sasl.password.as_ref().map(|password| client.set("sasl.password", password.reveal()));
        }
    }
}

/// Whether the environment sets which certificates OpenSSL trusts. One that was built with this
/// program has no folder of the system.
fn has_certificates_of_its_own() -> bool {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|variable| std::env::var_os(variable).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(mechanism: Mechanism, tls: Option<Tls>) -> Security {
        let sasl = Sasl { mechanism, username: Some("mill".into()), password: Some(Secret::new("hush")), token_file: None };
        Security { tls, sasl: Some(sasl), ..Security::default() }
    }

    #[test]
    fn a_password_does_not_cross_the_wire_in_the_clear() {
        let error = with(Mechanism::Plain, None).check().unwrap_err().to_string();
        assert!(error.contains("plain text"), "{error}");
        with(Mechanism::Plain, Some(Tls::default())).check().unwrap();
        with(Mechanism::ScramSha512, None).check().unwrap();
        assert!(!format!("{:?}", with(Mechanism::Plain, None)).contains("hush"));
    }

    #[test]
    fn msk_is_always_encrypted_and_takes_tokens() {
        let security = Security { auth: Some(Auth::MskIam), ..Security::default() };
        security.check().unwrap();
        let mut client = ClientConfig::new();
        security.apply(&mut client);
        assert_eq!((client.get("security.protocol"), client.get("sasl.mechanisms")), (Some("sasl_ssl"), Some("OAUTHBEARER")));
        let both = Security { auth: Some(Auth::MskIam), ..with(Mechanism::ScramSha256, None) };
        assert!(both.check().unwrap_err().to_string().contains("exclude"));
    }
}
