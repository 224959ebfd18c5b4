//! The client of a bucket: its server and credentials, without retries of its own.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use wasmill_engine::{Error, Result};

use super::S3Config;
use wasmill_connect::aws::{self, check_endpoint};
use wasmill_connect::codes::NO_REGION;
use wasmill_connect::credentials;

/// The region of stores that know none.
const DEFAULT_REGION: &str = "us-east-1";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a response may take, and how long it may stall while it arrives.
const ANSWER: Duration = Duration::from_secs(30);

/// The client of a bucket, and the bucket's address for readers. May query the instance for its
/// region, and reads AWS's configuration files.
pub async fn connect(bucket: &str, config: &S3Config) -> Result<(Client, String)> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = config.endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL_S3"));
    let region = config.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = region.or_else(|| endpoint.is_some().then(|| DEFAULT_REGION.to_owned()));
    let sdk = aws::configuration(region.as_deref(), config.profile.as_deref()).await;
    let endpoint = endpoint.or_else(|| sdk.endpoint_url().map(str::to_owned));
    let region = match (region.or_else(|| sdk.region().map(ToString::to_string)), &endpoint) {
        (Some(region), _) => region,
        (None, Some(_)) => DEFAULT_REGION.to_owned(),
        (None, None) => {
            return Err(Error::environment(format!("the region of the bucket {bucket} is not known"))
                .code(NO_REGION)
                .hint("set `region`, or AWS_REGION in the environment"));
        }
    };
    if let Some(endpoint) = &endpoint {
        check_endpoint(endpoint)?;
    }
    let path_style = config.path_style.unwrap_or(endpoint.is_some());
    let address = address(bucket, endpoint.as_deref(), &region, path_style);
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(ANSWER).build();
    // Slow is fine. The timeout of a response does not cover its body, and this one does not cover
    // what is sent.
    let stalled = StalledStreamProtectionConfig::enabled().upload_enabled(false).grace_period(ANSWER).build();
    let mut client = Builder::from(&sdk)
        .region(Region::new(region))
        .credentials_provider(credentials::provider(&sdk, config.key(), config.assume_role.as_ref()).await?)
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(stalled)
        // Not every store has them.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(path_style);
    client.set_endpoint_url(endpoint);
    Ok((Client::from_conf(client.build()), address))
}

/// The address of a bucket, for readers.
fn address(bucket: &str, endpoint: Option<&str>, region: &str, path_style: bool) -> String {
    let host = endpoint.map_or_else(|| format!("https://s3.{region}.amazonaws.com"), |endpoint| endpoint.trim_end_matches('/').to_owned());
    if path_style { format!("{host}/{bucket}") } else { host.replacen("://", &format!("://{bucket}."), 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_in_the_host_or_in_the_path() {
        let address = |endpoint, path_style| address("b", endpoint, "eu-west-1", path_style);
        assert_eq!(address(None, false), "https://b.s3.eu-west-1.amazonaws.com");
        assert_eq!(address(None, true), "https://s3.eu-west-1.amazonaws.com/b");
        assert_eq!(address(Some("http://127.0.0.1:1/"), true), "http://127.0.0.1:1/b");
        assert_eq!(address(Some("https://store.example"), false), "https://b.store.example");
    }
}
