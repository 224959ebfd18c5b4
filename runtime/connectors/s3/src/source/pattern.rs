//! Which keys match, and the list of the objects that have them.

use futures::{StreamExt, TryStreamExt};
use glob::MatchOptions;
use wasmill_engine::{Error, Result};

use super::folders::{Ask, Folders, PAGE};
use super::object::Found;
use crate::codes::PATTERN;
use wasmill_objects::{Bucket, Failure, FolderList, S3Uri, failed};

/// How many folders are listed at once.
const AT_ONCE: usize = 16;

/// The first object that matches a pattern.
pub(super) struct FirstMatch {
    pub(super) found: Option<Found>,
    /// Whether no object was left out of the search.
    pub(super) is_whole: bool,
}

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
                let pattern = glob::Pattern::new(&pattern).map_err(|error| {
                    Error::configuration(format!("`{uri}` is not a pattern: {}", error.msg)).code(PATTERN).caused_by(error)
                })?;
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

    /// The first object that matches, among this many listed ones.
    pub(super) async fn first(&self, bucket: &Bucket, at_most: usize) -> Result<FirstMatch> {
        if let Keys::One(_) = &self.keys {
            return Ok(FirstMatch { found: self.list(bucket).await?.pop(), is_whole: true });
        }
        let (mut found, mut scanned) = (None, 0);
        let list = bucket.list_while(&self.prefix, None, |object| {
            scanned += 1;
            found = self.matches(&object.key).then_some(object);
            found.is_none() && scanned < at_most
        });
        list.await.map_err(|failure| self.failed(&failure))?;
        let is_whole = found.is_some() || scanned < at_most;
        Ok(FirstMatch { found: found.map(|object| Found::new(&self.bucket, object)), is_whole })
    }

    /// The folders that its keys may lie in, none of them known; one request lists this many
    /// entries.
    pub(super) fn folders(&self, page: u16) -> Folders {
        Folders::below(&self.prefix, page)
    }

    /// The objects that match, in the order of their keys.
    pub(super) async fn list(&self, bucket: &Bucket) -> Result<Vec<Found>> {
        self.list_all(bucket, &mut self.folders(PAGE)).await
    }

    /// The objects that match, in the order of their keys, and the folders of all that were listed,
    /// without those known before.
    pub(super) async fn list_all(&self, bucket: &Bucket, folders: &mut Folders) -> Result<Vec<Found>> {
        *folders = folders.forgotten();
        let found = match &self.keys {
            Keys::One(key) => {
                let found = bucket.head(key).await.map_err(|failure| self.failed(&failure))?;
                found.into_iter().map(|object| Found::new(&self.bucket, object)).collect()
            }
            _ => self.list_below(bucket, &self.prefix, folders).await?,
        };
        folders.settle();
        Ok(found)
    }

    async fn list_below(&self, bucket: &Bucket, prefix: &str, folders: &mut Folders) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        let list = bucket.list_while(prefix, None, |object| {
            folders.object(&object.key, object.modified);
            if self.matches(&object.key) {
                found.push(Found::new(&self.bucket, object));
            }
            true
        });
        list.await.map_err(|failure| self.failed(&failure))?;
        Ok(found)
    }

    /// The objects that match and may be new: of the folders that grew last and of new ones, or all
    /// where that takes no more requests.
    pub(super) async fn list_new(&self, bucket: &Bucket, folders: &mut Folders) -> Result<Vec<Found>> {
        let Some(asks) = folders.asks() else { return self.list_all(bucket, folders).await };
        let page = folders.page();
        let list = |Ask { folder, after }: Ask| async move {
            let listed = bucket.list_folder(&folder, after.as_deref(), page).await;
            listed.map(|listed| (folder, listed))
        };
        let lists = futures::stream::iter(asks.into_iter().map(list)).buffer_unordered(AT_ONCE);
        let lists: Vec<_> = lists.try_collect().await.map_err(|failure| self.failed(&failure))?;
        let (mut found, mut new) = (Vec::new(), Vec::new());
        for (folder, FolderList { objects, folders: subfolders }) in lists {
            let keys: Vec<_> = objects.iter().map(|object| (object.key.as_str(), object.modified)).collect();
            let wanted = subfolders.iter().map(String::as_str).filter(|subfolder| self.may_hold(subfolder));
            new.extend(folders.listed(&folder, &keys, wanted));
            found.extend(objects.into_iter().filter(|object| self.matches(&object.key)).map(|object| Found::new(&self.bucket, object)));
        }
        for folder in new {
            found.extend(self.list_below(bucket, &folder, folders).await?);
        }
        folders.settle();
        found.sort_by(|one, other| one.key.cmp(&other.key));
        // Pages of a list may overlap.
        found.dedup_by(|one, other| one.key == other.key);
        Ok(found)
    }

    /// Whether keys in or below a folder may match.
    fn may_hold(&self, folder: &str) -> bool {
        let behind = |text: &str| text[self.prefix.len()..].trim_matches('/').to_owned();
        let pattern = match &self.keys {
            Keys::Matching(pattern) => behind(pattern.as_str()),
            _ => "**".to_owned(),
        };
        let folder = behind(folder);
        if has_hidden_part(&folder, &pattern) {
            return false;
        }
        let parts: Vec<&str> = pattern.split('/').collect();
        for (depth, name) in folder.split('/').enumerate() {
            match parts.get(depth) {
                Some(&"**") => return true,
                // The last part is that of objects.
                Some(part) if depth + 1 < parts.len() => {
                    if !glob::Pattern::new(part).is_ok_and(|part| part.matches(name)) {
                        return false;
                    }
                }
                _ => return false,
            }
        }
        true
    }

    fn failed(&self, failure: &Failure) -> Error {
        failed(format_args!("list {}", self.shown), failure)
    }
}

/// Whether a part of a key begins with `.` or `_` and no part of the pattern does. Logs of tables, marks of success and
/// temporary objects are named so.
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

    #[test]
    fn only_folders_that_may_hold_what_matches_are_looked_into() {
        let may_hold = |uri: &str, folders: &[&str]| -> Vec<bool> {
            let pattern = Pattern::parse(uri).unwrap();
            folders.iter().map(|folder| pattern.may_hold(folder)).collect()
        };
        assert_eq!(may_hold("s3://l/a/", &["a/b/", "a/b/c/", "a/_log/", "a/.x/"]), [true, true, false, false]);
        assert_eq!(may_hold("s3://l/a/p=*/*.json", &["a/p=1/", "a/q=1/", "a/p=1/x/"]), [true, false, false]);
        assert_eq!(may_hold("s3://l/a/**/*.json", &["a/b/", "a/b/c/", "a/b/_c/"]), [true, true, false]);
        assert_eq!(may_hold("s3://l/a*/?.json", &["ab/", "b/", "ab/c/"]), [true, false, false]);
        assert_eq!(may_hold("s3://l/", &["a/"]), [true]);
    }
}
