//! Examines a bucket: whether it exists, accepts the credentials and supports conditional puts, and
//! whether the clocks agree.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_s3::types::EncodingType;
use bytes::Bytes;
use uuid::Uuid;
use wasmill_engine::Error;

use super::failure::Kind;
use super::object::When;
use super::{Bucket, RetryTime, S3Config, S3Uri, Use, failed};
use crate::codes::{CONDITIONAL_PUTS, UNREACHABLE};
use wasmill_connect::aws::Dates;
use wasmill_connect::examine::{Finding, clock};

/// Examines a prefix of a bucket.
pub fn examine(uri: &str, config: &S3Config, use_: Use) -> Vec<Finding> {
    let opened = S3Uri::parse(uri).and_then(|place| Ok((Bucket::open(&place.bucket, config, RetryTime::Check)?, place)));
    let (bucket, place) = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![Finding::Bad(error)],
    };
    let mut findings = match bucket.first_page(&place.key) {
        Ok(findings) => findings,
        Err(error) => return vec![Finding::Bad(error)],
    };
    if use_ == Use::Write {
        findings.push(bucket.try_condition(&place));
    }
    findings
}

impl Bucket {
    /// Lists the first object below a prefix. The date of the response is the store's clock.
    fn first_page(&self, prefix: &str) -> Result<Vec<Finding>, Error> {
        let (sent, date) = (Instant::now(), Arc::new(OnceLock::new()));
        let request = self.client.list_objects_v2().bucket(&self.name).max_keys(1).prefix(prefix).encoding_type(EncodingType::Url);
        let list = self.ask(|| {
            let date = Arc::clone(&date);
            let dates = Dates(move |time| {
                let _ = date.set(time);
            });
            request.clone().customize().interceptor(dates).send()
        });
        let answer = self.wait(async { tokio::time::timeout(Duration::from_secs(15), list).await });
        let what = format!("list {}", self.shown(prefix));
        answer
            .map_err(|_| {
                Error::environment(format!("cannot {what}: no response within 15 s"))
                    .code(UNREACHABLE)
                    .hint("can the store be reached from here?")
            })?
            .map_err(|failure| failed(&what, &failure))?;
        let took = sent.elapsed();
        let mut findings = vec![Finding::good(format!("{} responds ({} ms) and can be listed", self.shown(prefix), took.as_millis()))];
        // The date has whole seconds.
        findings.extend(date.get().map(|date| clock(*date, SystemTime::now(), took + Duration::from_secs(1))));
        Ok(findings)
    }

    /// A put that no store may carry out: its condition names an object that does not exist. The
    /// response shows whether writing is permitted, and whether conditions are checked.
    fn try_condition(&self, place: &S3Uri) -> Finding {
        let key = place.below(&format!("_wasmill/doctor-{}", Uuid::new_v4()));
        let etag = format!("\"{}\"", Uuid::new_v4().simple());
        let shown = self.shown(&place.key);
        let put = async {
            let put = self.put(&key, &Bytes::new(), When::Is(&etag)).await;
            if put.is_ok() {
                // It has done what it must not do: leave nothing behind.
                let request = self.client.delete_object().bucket(&self.name).key(&key);
                self.ask(|| request.clone().send()).await?;
            }
            put
        };
        match self.wait(put) {
            Err(failure) if matches!(failure.kind, Kind::Unmet | Kind::NoObject) => {
                Finding::good(format!("{shown} can be written, and conditional puts work"))
            }
            Ok(()) => Finding::Bad(
                Error::environment(format!("the store of {shown} ignores the conditions of a put"))
                    .code(CONDITIONAL_PUTS)
                    .hint("two processes could overwrite each other: use a store that supports If-Match and If-None-Match"),
            ),
            Err(failure) => Finding::Bad(failed(format_args!("write {shown}"), &failure)),
        }
    }
}
