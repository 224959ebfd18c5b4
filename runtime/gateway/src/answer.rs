//! What a request is answered with.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;

/// An answer, before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: Bytes,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Answer {
    /// A value as JSON.
    pub(crate) fn json(status: StatusCode, content_type: &'static str, value: &impl Serialize) -> Self {
        // What is answered is made here: it has no maps with keys other than texts.
        let body = serde_json::to_vec(value).unwrap_or_default().into();
        Self { status, content_type, body, headers: Vec::new() }
    }

    /// Nothing but a status.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, content_type: "", body: Bytes::new(), headers: Vec::new() }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Tells when to retry, in whole seconds.
    pub(crate) fn retry_after(self, wait: Option<Duration>) -> Self {
        let Some(wait) = wait else { return self };
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with(http::header::RETRY_AFTER, &seconds.max(1).to_string())
    }
}

/// Why a request was refused before or by its protocol, in words for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub status: StatusCode,
    pub message: String,
    pub retry_after: Option<Duration>,
    /// The value of `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
    /// The methods that the path has.
    pub allow: Option<&'static str>,
    /// The connection can't be used for another request.
    pub closes: bool,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None, challenge: None, allow: None, closes: false }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// JSON that is none, with its line and column.
    pub(crate) fn malformed(error: &serde_json::Error) -> Self {
        Self::bad_request(format!("the body is not the JSON that is expected here: {error}"))
    }

    pub(crate) fn not_found(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))
    }

    pub(crate) fn method(allow: &'static str) -> Self {
        let message = format!("the methods of this path are {allow}");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// Headers that any answer to this problem has.
    pub(crate) fn complete(&self, answer: Answer) -> Answer {
        let mut answer = answer.retry_after(self.retry_after);
        if let Some(challenge) = self.challenge {
            answer = answer.with(http::header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(allow) = self.allow {
            answer = answer.with(http::header::ALLOW, allow);
        }
        if self.closes {
            answer = answer.with(http::header::CONNECTION, "close");
        }
        answer
    }
}
