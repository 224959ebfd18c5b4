//! How commands reach a Delta table.

use clap::Args;
use delta::TableAddress;
use wasmill_objects::S3Config;

/// How to reach a table in a bucket. What is left out comes from where AWS's own tools take it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tables in S3")]
pub struct TableArguments {
    /// The address of a store that is not AWS's own; else AWS_ENDPOINT_URL_S3 or AWS
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The bucket's region; else AWS_REGION or the profile's
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The profile in AWS's configuration files; else AWS_PROFILE
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Puts the bucket into the path of an address; by default only where there is an endpoint
    #[arg(long, value_name = "BOOL")]
    path_style: Option<bool>,
}

impl TableArguments {
    /// The table at an address.
    pub fn table(&self, uri: &str) -> TableAddress {
        let Self { endpoint, region, profile, path_style } = self;
        let connection = S3Config {
            endpoint: endpoint.clone(),
            region: region.clone(),
            profile: profile.clone(),
            path_style: *path_style,
            ..S3Config::default()
        };
        TableAddress { uri: uri.to_owned(), connection }
    }
}

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Human-readable text
    Text,
    /// For programs
    Json,
}
