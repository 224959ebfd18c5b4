//! Examines a stream: whether Kinesis responds and accepts the credentials, and the stream exists
//! and can be read.

use std::time::{Duration, Instant, SystemTime};

use wasmill_engine::Result;

use super::api::{Api, Beginning};
use super::connection::KinesisConnection;
use super::{KinesisConfig, KinesisSinkConfig};
use wasmill_connect::examine::{Finding, clock};
use wasmill_connect::threads;

/// How long Kinesis may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Examines the stream of a source, and one of its records. No consumer is registered.
pub fn examine_source(config: &KinesisConfig) -> Vec<Finding> {
    let examined = config.check().and_then(|()| query(&config.connection, &config.stream, true));
    examined.unwrap_or_else(|error| vec![Finding::Bad(error)])
}

/// Examines the stream of a sink. Whether it may be written shows at the first put: Kinesis has no
/// request that would tell it.
pub fn examine_sink(config: &KinesisSinkConfig) -> Vec<Finding> {
    let examined = config.check().and_then(|()| query(&config.connection, &config.stream, false));
    examined.unwrap_or_else(|error| vec![Finding::Bad(error)])
}

fn query(connection: &KinesisConnection, stream: &str, read: bool) -> Result<Vec<Finding>> {
    threads::handle()?.block_on(async {
        let api = Api::new(connection, stream, TIMEOUT).await?;
        let begun = Instant::now();
        let described = api.with_retries(None, || api.describe()).await?;
        let took = begun.elapsed();
        let shards = api.with_retries(None, || api.shards()).await?;
        let open = shards.iter().filter(|shard| !shard.closed).count();
        let hours = Duration::from_millis(u64::try_from(described.retention).unwrap_or_default());
        let mut findings = vec![Finding::good(format!(
            "the stream {stream} is there ({} ms): {open} open shards of {}, records stay {}",
            took.as_millis(),
            shards.len(),
            humantime::format_duration(hours)
        ))];
        let server = Duration::from_millis(u64::try_from(api.clock.now()).unwrap_or_default());
        findings.push(clock(SystemTime::UNIX_EPOCH + server, SystemTime::now(), Duration::ZERO));
        if let (true, Some(shard)) = (read, shards.first()) {
            let iterator = api.with_retries(None, || api.iterator(&shard.id, Beginning::TrimHorizon)).await?;
            api.with_retries(None, || api.records(&shard.id, &iterator, 1)).await?;
            findings.push(Finding::good(format!("the stream {stream} can be read")));
        }
        Ok(findings)
    })
}
