//! A look at a bucket: is it there, does it let us in, does it know conditional puts, do the clocks agree.

use std::time::{Duration, Instant, SystemTime};

use chrono::DateTime;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions, UpdateVersion};
use uuid::Uuid;
use wasmill_engine::Error;

use super::bucket::path;
use super::{Bucket, Patience, S3Config, S3Uri, failed};
use crate::examine::{Finding, clock};

/// What a run does in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Lists and reads.
    Read,
    /// Lists, reads and writes, with conditions.
    Write,
}

/// Looks at a prefix of a bucket.
pub fn examine(uri: &str, config: &S3Config, use_: Use) -> Vec<Finding> {
    let opened = S3Uri::parse(uri).and_then(|place| Ok((Bucket::open(&place.bucket, config, Patience::Look)?, place)));
    let (bucket, place) = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![Finding::Bad(error)],
    };
    let mut findings = match bucket.first_answer(&place.key) {
        Ok(findings) => findings,
        Err(error) => return vec![Finding::Bad(error)],
    };
    if use_ == Use::Write {
        findings.push(bucket.try_condition(&place));
    }
    findings
}

impl Bucket {
    /// Asks for the first object below a prefix. The answer's date shows the store's clock.
    fn first_answer(&self, prefix: &str) -> Result<Vec<Finding>, Error> {
        let sent = Instant::now();
        let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", prefix)];
        let answer = self.wait(async { tokio::time::timeout(Duration::from_secs(15), self.ask(&query)).await });
        let what = format!("list {}", self.shown(prefix));
        let answer = answer
            .map_err(|_| Error::environment(format!("cannot {what}: no answer within 15 s")).hint("can the store be reached from here?"))?
            .map_err(|error| failed(&what, &error))?;
        let took = sent.elapsed();
        let mut findings = vec![Finding::good(format!("{} answers ({} ms) and can be listed", self.shown(prefix), took.as_millis()))];
        let date = answer.date.as_deref().and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        // The date has whole seconds.
        findings.extend(date.map(|date| clock(date.into(), SystemTime::now(), took + Duration::from_secs(1))));
        Ok(findings)
    }

    /// A put that no store may carry out: its condition names an object that is not there. What the store says tells whether we may
    /// write, and whether it looks at conditions.
    fn try_condition(&self, place: &S3Uri) -> Finding {
        let key = place.below(&format!("_wasmill/doctor-{}", Uuid::new_v4()));
        let version = UpdateVersion { e_tag: Some(format!("\"{}\"", Uuid::new_v4().simple())), version: None };
        let options = PutOptions::from(PutMode::Update(version));
        let shown = self.shown(&place.key);
        let put = async {
            let path = path(&key)?;
            let put = object_store::ObjectStore::put_opts(&*self.store, &path, "".into(), options).await;
            if put.is_ok() {
                // It has done what it must not do: leave nothing behind.
                self.store.delete(&path).await?;
            }
            put
        };
        match self.wait(put) {
            Err(StoreError::Precondition { .. } | StoreError::NotFound { .. }) => {
                Finding::good(format!("{shown} can be written, and conditional puts work"))
            }
            Ok(_) => Finding::Bad(
                Error::environment(format!("the store of {shown} does not look at the conditions of a put"))
                    .hint("two processes could overwrite each other: use a store that knows If-Match and If-None-Match"),
            ),
            Err(error) => Finding::Bad(failed(format_args!("write {shown}"), &error)),
        }
    }
}
