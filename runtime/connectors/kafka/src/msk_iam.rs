//! Tokens for Amazon MSK with IAM: a request signed with the credentials of AWS, as
//! <https://github.com/aws/aws-msk-iam-sasl-signer-python> defines it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rdkafka::client::OAuthToken;
use wasmill_engine::{Error, Result};

use super::security::Aws;
use wasmill_connect::aws::{self, AssumeRole};
use wasmill_connect::causes;
use wasmill_connect::codes::{CREDENTIALS_MISSING, NO_REGION};
use wasmill_connect::threads;

/// How long a token is valid, at most: MSK's limit.
const LIFE: Duration = Duration::from_secs(900);
/// How long the credentials may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The user agent in the audit log of AWS.
const USER_AGENT: &str = concat!("wasmill/", env!("CARGO_PKG_VERSION"));

/// A token for now, by the credentials that AWS's chain finds.
pub(super) fn token(aws: &Aws) -> Result<OAuthToken> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::environment(format!("no AWS credentials for MSK: {error}")).code(CREDENTIALS_MISSING).hint(HINT)
    };
    let found = threads::handle()?.block_on(async { tokio::time::timeout(TIMEOUT, credentials(aws)).await });
    let (credentials, region) = found.map_err(|_| failed(&"they did not come within 30 s"))??;
    let now = SystemTime::now();
    let ends = credentials.expiry().map_or(now + LIFE, |expiry| expiry.min(now + LIFE));
    let millis = ends.duration_since(UNIX_EPOCH).map_err(|error| failed(&error))?.as_millis();
    Ok(OAuthToken {
        token: signed(credentials, &region, now)?,
        principal_name: "wasmill".to_owned(),
        lifetime_ms: i64::try_from(millis).unwrap_or(i64::MAX),
    })
}

const HINT: &str =
    "they come from the environment, a profile, web identity or the instance; `security: { aws: { profile, role, region } }` chooses";

async fn credentials(wanted: &Aws) -> Result<(Credentials, String)> {
    let sdk = aws::configuration(wanted.region.as_deref(), wanted.profile.as_deref()).await;
    let region = sdk.region().map(ToString::to_string).ok_or_else(|| {
        Error::environment("the AWS region of MSK is not known")
            .code(NO_REGION)
            .hint("security: { auth: msk_iam, aws: { region: eu-west-1 } }")
    })?;
    let role = wanted.role.as_ref().map(AssumeRole::new);
    let provider = aws::credentials(&sdk, None, role.as_ref()).await;
    let provider =
        provider.ok_or_else(|| Error::environment("no AWS credentials for MSK: there are none").code(CREDENTIALS_MISSING).hint(HINT))?;
    let reported = |error| {
        Error::environment(format!("no AWS credentials for MSK: {}", causes::in_words(&error))).code(CREDENTIALS_MISSING).hint(HINT)
    };
    Ok((provider.provide_credentials().await.map_err(reported)?, region))
}

fn signed(credentials: Credentials, region: &str, time: SystemTime) -> Result<String> {
    let failed = |error: &dyn std::fmt::Display| Error::bug(format!("the token for MSK can't be signed: {error}"));
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFE);
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder().identity(&identity).region(region).name("kafka-cluster").time(time).settings(settings);
    let parameters = parameters.build().map_err(|error| failed(&error))?.into();
    let mut url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let request =
        SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[])).map_err(|error| failed(&error))?;
    let (instructions, _) = sign(request, &parameters).map_err(|error| failed(&error))?.into_parts();
    for (name, value) in instructions.params().iter().map(|(name, value)| (*name, value.as_ref())).chain([("User-Agent", USER_AGENT)]) {
        url.extend(["&", name, "=", encoded(value).as_str()]);
    }
    Ok(URL_SAFE_NO_PAD.encode(url))
}

/// Percent-encodes all but what RFC 3986 calls unreserved, as the signature was computed.
fn encoded(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signatures were computed by the published algorithm of Signature Version 4 in another language.
    #[test]
    fn a_token_is_signed_as_aws_defines_it() {
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let of = |session: Option<&str>| {
            let key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let credentials = Credentials::new("AKIDEXAMPLE", key, session.map(ToOwned::to_owned), None, "test");
            let token = signed(credentials, "eu-west-1", time).unwrap();
            let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
            let (address, query) = url.split_once('?').unwrap();
            assert_eq!(address, "https://kafka.eu-west-1.amazonaws.com/");
            query.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect::<Vec<_>>()
        };
        let value = |query: &[(String, String)], name: &str| query.iter().find(|(key, _)| key == name).unwrap().1.clone();
        let plain = of(None);
        let expected = [
            ("Action", "kafka-cluster%3AConnect"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIDEXAMPLE%2F20231114%2Feu-west-1%2Fkafka-cluster%2Faws4_request"),
            ("X-Amz-Date", "20231114T221320Z"),
            ("X-Amz-Expires", "900"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Signature", "26794ad200e10e2e7b4c6228b6953ca4aaa8dfc38515ae16882689fcb5f066a9"),
        ];
        for (name, expected) in expected {
            assert_eq!(value(&plain, name), expected, "{name}");
        }
        assert_eq!((plain.len(), plain[7].0.as_str()), (8, "User-Agent"), "which is not signed, and comes last");
        let session = of(Some("session/token+with=signs"));
        assert_eq!(value(&session, "X-Amz-Security-Token"), "session%2Ftoken%2Bwith%3Dsigns");
        assert_eq!(value(&session, "X-Amz-Signature"), "e7f569dfae64f510f3c77748bddf03c2c738915e392383ea5088ced5c6938342");
    }
}
