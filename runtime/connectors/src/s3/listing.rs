//! The uploads that a bucket waits for: the one kind of request that the store's library does not have.

use std::fmt::Write as _;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::{Error as StoreError, MultipartId};
use wasmill_engine::{Error, Result};

use super::{Bucket, failed};
use crate::causes::in_words;

/// How often a list is asked for once more, and the pause before the first time; it doubles.
const TRIES_MORE: usize = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// An upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PendingUpload {
    /// The key of the object that it would make.
    pub key: String,
    /// Its id.
    pub id: MultipartId,
}

/// One page of a list of uploads.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    uploads: Vec<PendingUpload>,
    /// Where the next page begins, if there is one: behind this key and this id. Some stores name the id alone.
    next: Option<(Option<String>, String)>,
}

impl Bucket {
    /// The uploads below a prefix.
    pub(crate) fn pending_uploads(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        let mut uploads = Vec::new();
        let mut next = None;
        loop {
            let page = self.wait(self.page_with_patience(prefix, next.as_ref()))?;
            uploads.extend(page.uploads.into_iter().filter(|upload| upload.key.starts_with(prefix)));
            // A page that leads to itself would never end.
            if page.next.is_none() || page.next == next {
                return Ok(uploads);
            }
            next = page.next;
        }
    }

    async fn page_with_patience(&self, prefix: &str, from: Option<&(Option<String>, String)>) -> Result<Page> {
        let pauses = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_jitter().with_max_times(TRIES_MORE);
        let page = (|| self.page(prefix, from)).retry(pauses).when(|error| !super::failure::is_refusal(error)).await;
        page.map_err(|error| failed(format_args!("list the uploads of {}", self.shown(prefix)), &error))
    }

    async fn page(&self, prefix: &str, from: Option<&(Option<String>, String)>) -> Result<Page, StoreError> {
        // Without `encoding-type`: some stores take it and encode nothing, and keys here hold nothing that XML can't.
        let mut query = vec![("max-uploads", "1000"), ("prefix", prefix), ("uploads", "")];
        if let Some((key, id)) = from {
            query.extend(key.as_deref().map(|key| ("key-marker", key)));
            query.push(("upload-id-marker", id));
        }
        let answer = self.ask(&query).await?;
        read_page(&answer.body).map_err(|error| generic(error.message().to_owned()))
    }

    /// A signed request to the bucket itself.
    pub(super) async fn ask(&self, query: &[(&str, &str)]) -> Result<Answer, StoreError> {
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() =
            format!("{}?{}", self.address, query.join("&")).parse().map_err(|error| generic(format!("not an address: {error}")))?;
        let credential = self.store.credentials().get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region).authorize(&mut request, None);
        let answer = self.http.execute(request).await.map_err(|error| generic(in_words(&error)))?;
        let status = answer.status();
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
        let body = answer.into_body().bytes().await.map_err(|error| generic(in_words(&error)))?;
        let body = String::from_utf8_lossy(&body).into_owned();
        if status.is_success() {
            return Ok(Answer { date, body });
        }
        let (path, source) = (self.shown(""), format!("status code: {status}: {body}").into());
        match status.as_u16() {
            401 | 403 => Err(StoreError::PermissionDenied { path, source }),
            404 => Err(StoreError::NotFound { path, source }),
            _ => Err(StoreError::Generic { store: "S3", source }),
        }
    }
}

/// What a bucket answered.
pub(super) struct Answer {
    /// When, by the store's clock, as HTTP writes it.
    pub date: Option<String>,
    /// What.
    pub body: String,
}

fn generic(text: String) -> StoreError {
    StoreError::Generic { store: "S3", source: text.into() }
}

/// Reads a page. It has few elements that matter, and no others of their names.
fn read_page(xml: &str) -> Result<Page> {
    if !xml.contains("<ListMultipartUploadsResult") {
        return Err(Error::environment("the store's answer is not a list of uploads"));
    }
    let mut page = Page::default();
    let mut rest = xml;
    while let Some((_, upload)) = rest.split_once("<Upload>") {
        let (upload, after) =
            upload.split_once("</Upload>").ok_or_else(|| Error::environment("the store's list of uploads is cut short"))?;
        let field =
            |name: &str| element(upload, name).ok_or_else(|| Error::environment(format!("an upload in the store's list has no {name}")));
        page.uploads.push(PendingUpload { key: field("Key")?, id: field("UploadId")? });
        rest = after;
    }
    if element(xml, "IsTruncated").as_deref() == Some("true") {
        let key = element(xml, "NextKeyMarker").filter(|key| !key.is_empty());
        page.next = Some((key, element(xml, "NextUploadIdMarker").unwrap_or_default()));
    }
    Ok(page)
}

/// The text of the first element of that name, without XML's own escapes.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#34;", "\"").replace("&apos;", "'");
    Some(plain.replace("&#39;", "'").replace("&#x2F;", "/").replace("&amp;", "&"))
}

/// A value in an address.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte as char),
            other => {
                let _ = write!(escaped, "%{other:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_uploads_and_where_the_next_one_begins() {
        let xml = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a/c</NextKeyMarker>\
            <NextUploadIdMarker>9</NextUploadIdMarker><Upload><Key>a/k %20%25</Key><UploadId>x&amp;y</UploadId></Upload>\
            <Upload><UploadId>z</UploadId><Key>a/c</Key></Upload></ListMultipartUploadsResult>";
        let upload = |key: &str, id: &str| PendingUpload { key: key.into(), id: id.into() };
        let page = read_page(xml).unwrap();
        assert_eq!(page.uploads, [upload("a/k %20%25", "x&y"), upload("a/c", "z")]);
        assert_eq!(page.next, Some((Some("a/c".to_owned()), "9".to_owned())));
        let without_key = xml.replace("<NextKeyMarker>a/c</NextKeyMarker>", "");
        assert_eq!(read_page(&without_key).unwrap().next, Some((None, "9".to_owned())));
        let empty = read_page("<ListMultipartUploadsResult xmlns=\"x\"></ListMultipartUploadsResult>");
        assert_eq!(empty.unwrap(), Page::default());
        assert!(read_page("<html></html>").is_err());
        assert!(read_page("<ListMultipartUploadsResult><Upload><Key>a").is_err());
        assert!(read_page("<ListMultipartUploadsResult><Upload><Key>a</Key></Upload>").is_err());
    }
}
