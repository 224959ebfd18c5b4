//! Which keys match, and the list of the objects that have them.

use glob::MatchOptions;
use wasmill_engine::{Error, Result};

use super::object::Found;
use crate::s3::{Bucket, Failure, Object, S3Uri, failed};

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
        let (mut found, mut looked_at) = (None, 0);
        let look = bucket.list_while(&self.prefix, None, |object| {
            looked_at += 1;
            found = self.matches(&object.key).then_some(object);
            found.is_none() && looked_at < at_most
        });
        look.await.map_err(|failure| self.failed(&failure))?;
        let was_all = found.is_some() || looked_at < at_most;
        Ok((found.map(|object| Found::new(&self.bucket, object)), was_all))
    }

    /// The objects that match, in the order of their keys; behind a key, or all.
    pub(super) async fn list(&self, bucket: &Bucket, after: Option<&str>) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        let mut take = |object: Object| {
            if self.matches(&object.key) {
                found.push(Found::new(&self.bucket, object));
            }
        };
        let listed = match &self.keys {
            Keys::One(key) => bucket.head(key).await.map(|object| object.into_iter().for_each(take)),
            _ => {
                let list = bucket.list_while(&self.prefix, after, |object| {
                    take(object);
                    true
                });
                list.await
            }
        };
        listed.map_err(|failure| self.failed(&failure))?;
        Ok(found)
    }

    fn failed(&self, failure: &Failure) -> Error {
        failed(format_args!("list {}", self.shown), failure)
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
