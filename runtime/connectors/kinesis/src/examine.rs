//! A look at a stream: does Kinesis answer and let us in, is the stream there, may we read it.

use std::time::{Duration, Instant, SystemTime};

use wasmill_engine::Result;

use super::api::{Api, Beginning};
use super::connection::KinesisConnection;
use super::{KinesisConfig, KinesisSinkConfig};
use wasmill_connect::examine::{Finding, clock};
use wasmill_connect::threads;

/// How long Kinesis may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks at the stream of a source, and at one of its records. No consumer is registered.
pub fn examine_source(config: &KinesisConfig) -> Vec<Finding> {
    let looked = config.check().and_then(|()| look(&config.connection, &config.stream, true));
    looked.unwrap_or_else(|error| vec![Finding::Bad(error)])
}

/// Looks at the stream of a sink. Whether it may be written shows at the first put: Kinesis has no question that would tell.
pub fn examine_sink(config: &KinesisSinkConfig) -> Vec<Finding> {
    let looked = config.check().and_then(|()| look(&config.connection, &config.stream, false));
    looked.unwrap_or_else(|error| vec![Finding::Bad(error)])
}

fn look(connection: &KinesisConnection, stream: &str, read: bool) -> Result<Vec<Finding>> {
    threads::handle()?.block_on(async {
        let api = Api::new(connection, stream, PATIENCE).await?;
        let begun = Instant::now();
        let described = api.insist(None, || api.describe()).await?;
        let took = begun.elapsed();
        let shards = api.insist(None, || api.shards()).await?;
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
            let iterator = api.insist(None, || api.iterator(&shard.id, Beginning::TrimHorizon)).await?;
            api.insist(None, || api.records(&shard.id, &iterator, 1)).await?;
            findings.push(Finding::good(format!("the stream {stream} can be read")));
        }
        Ok(findings)
    })
}
