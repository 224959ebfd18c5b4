//! A request that was read whole.

use bytes::Bytes;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use crate::answer::Problem;
use crate::destination::RequestKey;

/// The header that makes a retried request one.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// A longer key is refused.
const KEY_BYTES: usize = 256;

/// A request, below the prefix of its route.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: Method,
    /// The parts of its path, decoded.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The address of the route, as the client wrote it: `http://127.0.0.1:8082/test`.
    pub base: String,
}

impl Request {
    /// The type of its body without parameters, in lower case; empty if there is none.
    pub(crate) fn content_type(&self) -> String {
        media_type(&self.headers, http::header::CONTENT_TYPE)
    }

    /// The first type of answer that it accepts, in the same form.
    pub(crate) fn accept(&self) -> String {
        media_type(&self.headers, http::header::ACCEPT)
    }

    /// A parameter of its query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The key by which a retry of this request is recognised, if it has one.
    pub(crate) fn key(&self) -> Result<Option<RequestKey>, Problem> {
        let Some(value) = self.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let key = value.as_bytes().trim_ascii();
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(Problem::bad_request(format!("the header Idempotency-Key must have 1 to {KEY_BYTES} bytes")));
        }
        let path = self.path.join("/");
        Ok(Some(RequestKey { key: digest(&[path.as_bytes(), key]), request: digest(&[&self.body]) }))
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&sha.finalize()[..16]);
    short
}

fn media_type(headers: &HeaderMap, name: http::HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split([';', ',']).next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The parts of a path, decoded. Empty parts are left out, so that `//topics/` is `topics`.
///
/// # Errors
/// A part is not UTF-8.
pub(crate) fn path_parts(path: &str) -> Result<Vec<String>, Problem> {
    let decode = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded.map(|part| part.into_owned()).map_err(|_| Problem::bad_request(format!("the path {path} is not UTF-8")))
    };
    path.split('/').filter(|part| !part.is_empty()).map(decode).collect()
}

/// The parameters of a query, decoded.
pub(crate) fn query_parts(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(key, value)| (decode(key), decode(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)], body: &'static str) -> Request {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let (path, query) = (vec!["topics".into(), "t".into()], query_parts("a=1&b=%20x+y&c"));
        Request { method: Method::POST, path, query, headers: all, body: Bytes::from(body), base: String::new() }
    }

    #[test]
    fn parts_are_decoded() {
        assert_eq!(path_parts("//topics/a%2Fb/").unwrap(), ["topics", "a/b"]);
        assert!(path_parts("/%ff").is_err());
        let request = request(&[("content-type", "Text/CSV; charset=utf-8")], "");
        assert_eq!((request.parameter("b"), request.parameter("c"), request.parameter("d")), (Some(" x y"), Some(""), None));
        assert_eq!((request.content_type().as_str(), request.accept().as_str()), ("text/csv", ""));
    }

    #[test]
    fn a_key_belongs_to_a_path_and_knows_its_body() {
        let key = |body| request(&[(IDEMPOTENCY_KEY, "k1")], body).key().unwrap().unwrap();
        assert_eq!(key("a"), key("a"));
        assert_eq!(key("a").key, key("b").key);
        assert_ne!(key("a").request, key("b").request);
        assert_eq!(request(&[], "").key().unwrap(), None);
        assert!(request(&[(IDEMPOTENCY_KEY, "")], "").key().is_err());
        assert!(request(&[(IDEMPOTENCY_KEY, "x".repeat(257).as_str())], "").key().is_err());
    }
}
