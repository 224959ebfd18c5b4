//! What a bucket holds: objects, and uploads that it waits for. And the removal of many objects at once, which takes such lists.

use std::borrow::Cow;
use std::sync::Once;

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::operation::list_objects_v2::builders::ListObjectsV2FluentBuilder;
use aws_sdk_s3::types::{self, Delete, EncodingType, ObjectIdentifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::{StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use percent_encoding::percent_decode_str;
use wasmill_engine::Result;

use super::bucket::AT_ONCE;
use super::failure::Failure;
use super::{Bucket, Object, failed};

/// How many keys one request may have removed.
const MAX_KEYS: usize = 1_000;

/// An upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpload {
    /// The key of the object that it would create.
    pub key: String,
    /// Its id.
    pub id: String,
}

/// A page of a list.
pub(super) struct Page {
    pub(super) objects: Vec<Object>,
    /// The names of folders, where a list requests them.
    pub(super) folders: Vec<String>,
    /// Requests the following page; none if it is the last. An error matters only to a caller that
    /// needs the page.
    pub(super) next: Result<Option<ListObjectsV2FluentBuilder>, Failure>,
}

impl Bucket {
    /// The objects below a prefix, in order of their keys.
    pub fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.wait(self.list_all(prefix, None)).map_err(|failure| failed(format_args!("list {}", self.shown(prefix)), &failure))
    }

    /// Whether some object below a prefix satisfies the predicate. Reads the list no further than
    /// needed.
    pub fn any(&self, prefix: &str, is: impl Fn(&Object) -> bool) -> Result<bool> {
        let mut found = false;
        let list = self.list_while(prefix, None, |object| {
            found = is(&object);
            !found
        });
        self.wait(list).map_err(|failure| failed(format_args!("list {}", self.shown(prefix)), &failure))?;
        Ok(found)
    }

    /// The objects below a prefix, in order of their keys; behind a key, or all.
    pub async fn list_all(&self, prefix: &str, after: Option<&str>) -> Result<Vec<Object>, Failure> {
        let mut objects = Vec::new();
        self.list_while(prefix, after, |object| {
            objects.push(object);
            true
        })
        .await?;
        Ok(objects)
    }

    /// Passes on the objects below a prefix, in order of their keys, while they are wanted.
    pub async fn list_while(&self, prefix: &str, after: Option<&str>, mut wants_more: impl FnMut(Object) -> bool) -> Result<(), Failure> {
        // What lies below a prefix is recognised by the slash after it.
        let folder = (!prefix.is_empty()).then(|| format!("{}/", prefix.trim_end_matches('/')));
        // In plain XML, a key with a control character could not be represented.
        let request = self.client.list_objects_v2().bucket(&self.name).encoding_type(EncodingType::Url);
        let mut request = request.set_prefix(folder).set_start_after(after.map(str::to_owned));
        loop {
            let page = self.page(request).await?;
            if !page.objects.into_iter().all(&mut wants_more) {
                return Ok(());
            }
            let Some(next) = page.next? else { return Ok(()) };
            request = next;
        }
    }

    /// Requests a page.
    pub(super) async fn page(&self, request: ListObjectsV2FluentBuilder) -> Result<Page, Failure> {
        let page = self.ask(|| request.clone().send()).await?;
        let next = behind(request, &page);
        let is_encoded = page.encoding_type == Some(EncodingType::Url);
        let objects = page.contents.unwrap_or_default().into_iter();
        let folders = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|found| found.prefix);
        Ok(Page {
            objects: objects
                .filter_map(|object| if is_encoded { decoded(object) } else { Some(object) })
                .filter_map(Object::listed)
                .collect(),
            folders: folders.filter_map(|folder| if is_encoded { decode(&folder) } else { Some(folder) }).collect(),
            next,
        })
    }

    /// The uploads of one key. Not every store lists them by prefix: MinIO responds for a whole key
    /// alone.
    pub(super) async fn uploads_of(&self, key: &str) -> Result<Vec<PendingUpload>, Failure> {
        let mut uploads = Vec::new();
        let mut request = self.client.list_multipart_uploads().bucket(&self.name).prefix(key);
        loop {
            let page = self.ask(|| request.clone().send()).await?;
            let found = page.uploads.unwrap_or_default().into_iter().filter(|upload| upload.key.as_deref() == Some(key));
            for upload in found {
                let id = upload.upload_id.ok_or_else(|| Failure::of_nonsense("an upload in the store's list has no id"))?;
                uploads.push(PendingUpload { key: key.to_owned(), id });
            }
            // Some stores name the id alone.
            let (next, id) = (page.next_key_marker.filter(|next| !next.is_empty()), page.next_upload_id_marker);
            // Longer keys that begin with this one come after it. A page that leads to itself would
            // never end.
            let is_behind = next.as_deref().is_some_and(|next| next > key);
            let is_same = (request.get_key_marker(), request.get_upload_id_marker()) == (&next, &id);
            if page.is_truncated != Some(true) || is_behind || is_same {
                return Ok(uploads);
            }
            request = request.set_key_marker(next).set_upload_id_marker(id);
        }
    }

    /// Removes objects. Those that are gone already are fine.
    pub fn remove(&self, keys: impl IntoIterator<Item = String>) -> Result<()> {
        let keys: Vec<String> = keys.into_iter().collect();
        let remove = futures::stream::iter(keys.chunks(MAX_KEYS).map(|keys| self.delete(keys)));
        let removed = self.wait(remove.buffer_unordered(AT_ONCE).try_collect::<()>());
        removed.map_err(|failure| failed(format_args!("remove objects of {}", self.shown("")), &failure))
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Failure> {
        let objects = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect::<Result<Vec<_>, _>>()?;
        let request = self.client.delete_objects().bucket(&self.name);
        let request = request.delete(Delete::builder().set_objects(Some(objects)).quiet(true).build()?);
        let answer = self.ask(|| request.clone().customize().mutate_request(add_digest).send()).await?;
        let failures = answer.errors.unwrap_or_default().into_iter();
        let mut failures = failures.map(|error| Failure::of_answer(None, error.code(), error.message()));
        failures.find(|failure| !failure.is_missing()).map_or(Ok(()), Err)
    }
}

/// Requests the page after one; none if that was the last.
///
/// Some stores use the last name as their token, verbatim. XML can't represent most control
/// characters, and a token that returns with others in their place skips objects. After such a name
/// the next page is requested by the name.
fn behind(request: ListObjectsV2FluentBuilder, page: &ListObjectsV2Output) -> Result<Option<ListObjectsV2FluentBuilder>, Failure> {
    if page.is_truncated != Some(true) {
        return Ok(None);
    }
    let nowhere = || Failure::of_nonsense("a page of the list leads nowhere");
    let is_encoded = page.encoding_type == Some(EncodingType::Url);
    let read = |name: &str| if is_encoded { decode(name) } else { Some(name.to_owned()) };
    let objects = || page.contents().iter().rev().filter_map(types::Object::key);
    let folders = || page.common_prefixes().iter().rev().filter_map(types::CommonPrefix::prefix);
    let is_safe = |last: Option<&str>| last.is_none_or(|name| read(name).is_some_and(|name| survives_xml(&name)));
    if is_safe(objects().next()) && is_safe(folders().next()) {
        let token = page.next_continuation_token.as_ref();
        let token = token.filter(|token| request.get_continuation_token().as_ref() != Some(token)).ok_or_else(nowhere)?;
        return Ok(Some(request.continuation_token(token)));
    }
    // A name that no request can hold can't be continued from. Behind everything in a folder is
    // behind the greatest character.
    let folder = folders().find_map(read).map(|folder| folder + "\u{10ffff}");
    let last = objects().find_map(read).max(folder);
    let last = last.filter(|last| request.get_start_after().as_ref() != Some(last)).ok_or_else(nowhere)?;
    Ok(Some(request.set_continuation_token(None).start_after(last)))
}

/// Whether a text is the same when it was written and read as XML.
fn survives_xml(text: &str) -> bool {
    text.trim() == text && !text.contains(|character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}'))
}

/// An object of an encoded list with its key as it is. None for a key that is not UTF-8, which no request could name.
fn decoded(mut object: types::Object) -> Option<types::Object> {
    static LOGGED: Once = Once::new();
    let encoded = object.key.take()?;
    object.key = decode(&encoded);
    if object.key.is_none() {
        LOGGED.call_once(|| {
            tracing::warn!("the object {encoded:?} (URL-encoded) is left out, and so are others like it: its key is not UTF-8")
        });
        return None;
    }
    Some(object)
}

/// A key as a form has it: `+` for a blank, `%XX` for other bytes. None if that is not UTF-8.
fn decode(encoded: &str) -> Option<String> {
    let blanks = encoded.replace('+', " ");
    percent_decode_str(&blanks).decode_utf8().ok().map(Cow::into_owned)
}

/// The digest that S3 required before there were others, and that some stores still require.
fn add_digest(request: &mut HttpRequest) {
    if let Some(digest) = request.body().bytes().map(|body| BASE64.encode(Md5::digest(body))) {
        request.headers_mut().insert("content-md5", digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_keys_are_read_as_they_are() {
        for (encoded, key) in [
            ("a/b.json", Some("a/b.json")),
            ("trail%20/x+.json", Some("trail /x .json")),
            ("plus%2Band%2525.json", Some("plus+and%25.json")),
            ("ctl%01%0a%C3%BC", Some("ctl\u{1}\n\u{fc}")),
            ("100%", Some("100%")),
            ("%zz", Some("%zz")),
            ("%FF.json", None),
        ] {
            assert_eq!(decode(encoded).as_deref(), key, "{encoded}");
        }
    }
}
