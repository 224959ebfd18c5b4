//! Which keys match, and the list of the objects that have them.

use futures::{StreamExt, TryStreamExt};
use glob::MatchOptions;
use object_store::ObjectStore;
use object_store::path::Path;
use wasmill_engine::{Error, Result};

use super::object::Found;
use crate::s3::bucket::path;
use crate::s3::{Bucket, S3Uri, failed};

/// The keys that one address means.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) shown: String,
    /// The bucket.
    pub(super) bucket: String,
    /// Whole parts of keys before the first wildcard: what is listed.
    pub(super) prefix: String,
    keys: Keys,
}

#[derive(Debug, Clone)]
enum Keys {
    /// This one.
    One(String),
    /// All below the prefix.
    Below,
    Matching(glob::Pattern),
}

impl Pattern {
    pub(super) fn parse(uri: &str) -> Result<Self> {
        let S3Uri { bucket, key } = S3Uri::parse(uri)?;
        let below = uri.ends_with('/') || key.is_empty();
        let wild = key.find(['*', '?', '[']);
        let (prefix, keys) = match wild {
            None if below => (key, Keys::Below),
            None => (key.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default(), Keys::One(key)),
            Some(at) => {
                let pattern = if below { format!("{key}/**/*") } else { key.clone() };
                let pattern = glob::Pattern::new(&pattern)
                    .map_err(|error| Error::configuration(format!("`{uri}` is not a pattern: {}", error.msg)).caused_by(error))?;
                (key[..at].rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default(), Keys::Matching(pattern))
            }
        };
        Ok(Self { shown: uri.to_owned(), bucket, prefix, keys })
    }

    fn matches(&self, key: &str) -> bool {
        let options = MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        match &self.keys {
            Keys::One(one) => key == one,
            Keys::Below => !has_hidden_part(key[self.prefix.len()..].trim_start_matches('/'), ""),
            Keys::Matching(pattern) => {
                let behind = |text: &str| text[self.prefix.len()..].trim_start_matches('/').to_owned();
                pattern.matches_with(key, options) && !has_hidden_part(&behind(key), &behind(pattern.as_str()))
            }
        }
    }

    /// The first object that matches, among so many that are looked at; whether that was all.
    pub(super) async fn first(&self, bucket: &Bucket, at_most: usize) -> Result<(Option<Found>, bool)> {
        if let Keys::One(_) = &self.keys {
            return Ok((self.list(bucket, None).await?.pop(), true));
        }
        let failed = |error| failed(format_args!("list {}", self.shown), &error);
        let prefix = path(&self.prefix).map_err(failed)?;
        let mut objects = bucket.store.list(Some(&prefix)).take(at_most);
        let mut looked_at = 0;
        while let Some(object) = objects.try_next().await.map_err(failed)? {
            looked_at += 1;
            if self.matches(object.location.as_ref()) {
                return Ok((Some(Found::new(&self.bucket, &object)), true));
            }
        }
        Ok((None, looked_at < at_most))
    }

    /// The objects that match, in the order of their keys; behind a key, or all.
    pub(super) async fn list(&self, bucket: &Bucket, after: Option<&str>) -> Result<Vec<Found>> {
        let failed = |error| failed(format_args!("list {}", self.shown), &error);
        if let Keys::One(key) = &self.keys {
            let object = bucket.head(key).await.map_err(failed)?;
            return Ok(object.into_iter().map(|object| Found::new(&self.bucket, &object)).collect());
        }
        let prefix = path(&self.prefix).map_err(failed)?;
        let objects = match after {
            Some(after) => bucket.store.list_with_offset(Some(&prefix), &Path::parse(after).unwrap_or_default()),
            None => bucket.store.list(Some(&prefix)),
        };
        let matching = objects.try_filter(|object| futures::future::ready(self.matches(object.location.as_ref())));
        matching.map_ok(|object| Found::new(&self.bucket, &object)).try_collect().await.map_err(failed)
    }
}

/// Whether a part of a key begins with `.` or `_`, as logs of tables, marks of success and temporary objects do, and the pattern
/// has no part that does.
fn has_hidden_part(key: &str, pattern: &str) -> bool {
    let hidden = |part: &&str| part.starts_with(['.', '_']);
    key.split('/').filter(hidden).any(|part| !pattern.split('/').any(|wanted| wanted.starts_with(&part[..1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_mean_one_object_or_all_below_or_what_matches() {
        let matching = |uri: &str| {
            let pattern = Pattern::parse(uri).unwrap();
            let keys = ["a/1.json", "a/b/2.json", "a/b/_SUCCESS", "a/_log/3.json", "a/b/.x/4.json", "ab/5.json"];
            (
                pattern.prefix.clone(),
                keys.into_iter().filter(|key| key.starts_with(&pattern.prefix) && pattern.matches(key)).collect::<Vec<_>>(),
            )
        };
        assert_eq!(matching("s3://l/a/1.json"), ("a".into(), vec!["a/1.json"]));
        assert_eq!(matching("s3://l/a/b/"), ("a/b".into(), vec!["a/b/2.json"]));
        assert_eq!(matching("s3://l/a/*.json"), ("a".into(), vec!["a/1.json"]));
        assert_eq!(matching("s3://l/a/**/*.json"), ("a".into(), vec!["a/1.json", "a/b/2.json"]));
        assert_eq!(matching("s3://l/a/_log/*"), ("a/_log".into(), vec!["a/_log/3.json"]));
        assert_eq!(matching("s3://l/a/b*/*"), ("a".into(), vec!["a/b/2.json"]));
        assert_eq!(matching("s3://l/a*/?.json"), (String::new(), vec!["a/1.json", "ab/5.json"]));
        assert_eq!(matching("s3://l/").1, ["a/1.json", "a/b/2.json", "ab/5.json"]);
        assert!(Pattern::parse("s3://l/a[").is_err());
    }
}
