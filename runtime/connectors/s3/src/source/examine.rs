//! Examines what a source of objects would read.

use wasmill_engine::Result;

use super::S3SourceConfig;
use super::pattern::{FirstMatch, Pattern};
use wasmill_connect::examine::Finding;
use wasmill_objects::{Bucket, RetryTime, failed};
use wasmill_objects::{Use, examine as examine_bucket};

/// How many keys are listed to find one that matches.
const KEYS: usize = 10_000;

/// Examines the objects of a source: whether the bucket can be listed, and one of them read.
pub fn examine(config: &S3SourceConfig) -> Vec<Finding> {
    let mut findings = Vec::new();
    for uri in config.uri.all() {
        match Pattern::parse(uri) {
            Err(error) => findings.push(Finding::Bad(error)),
            Ok(pattern) => {
                findings.extend(examine_bucket(&format!("s3://{}/{}", pattern.bucket, pattern.prefix), &config.connection, Use::Read));
                if !findings.iter().any(|finding| matches!(finding, Finding::Bad(_))) {
                    findings.push(objects(&pattern, config).unwrap_or_else(Finding::Bad));
                }
            }
        }
    }
    findings
}

fn objects(pattern: &Pattern, config: &S3SourceConfig) -> Result<Finding> {
    let bucket = Bucket::open(&pattern.bucket, &config.connection, RetryTime::Check)?;
    let shown = &pattern.shown;
    let hint = "a stream waits for one, and a batch stops; is the address right?";
    match bucket.wait(pattern.first(&bucket, KEYS))? {
        FirstMatch { found: None, is_whole: true } => Ok(Finding::doubt(format!("no object matches {shown} yet"), hint)),
        FirstMatch { found: None, is_whole: false } => Ok(Finding::doubt(format!("none of the first {KEYS} keys matches {shown}"), hint)),
        FirstMatch { found: Some(found), .. } => {
            if found.size > 0 {
                let read = bucket.wait(bucket.get(&found.key, Some(0..1), None));
                read.map_err(|failure| failed(format_args!("read {}", bucket.shown(&found.key)), &failure))?;
            }
            Ok(Finding::good(format!("{shown}: {} can be read", bucket.shown(&found.key))))
        }
    }
}
