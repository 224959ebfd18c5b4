//! Errors in the words and codes of the REST proxy.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::answer::{Answer, Problem};
use crate::destination::{Refusal, RefusalKind};
use crate::protocol::status_of;

/// Why a request failed: its status, the proxy's own code, and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub status: StatusCode,
    pub code: u32,
    pub message: String,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, allow: None }
    }

    /// One whose code is its status.
    pub(super) fn status(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, u32::from(status.as_u16()), message)
    }

    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::status(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub(super) fn no_topic() -> Self {
        Self::new(StatusCode::NOT_FOUND, 40401, "Topic not found.")
    }

    pub(super) fn no_partition() -> Self {
        Self::new(StatusCode::NOT_FOUND, 40402, "Partition not found.")
    }

    pub(super) fn no_instance() -> Self {
        Self::new(StatusCode::NOT_FOUND, 40403, "Consumer instance not found.")
    }

    /// The embedded format of a record is not what the request says.
    pub(super) fn payload(message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, 42206, format!("Payload error. {message}"))
    }

    pub(super) fn method(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::status(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed") }
    }

    /// JSON that is none is a bad request; one of another shape can't be processed.
    pub(super) fn json(error: &serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::unprocessable(error.to_string()),
            _ => Self::status(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}")),
        }
    }

    pub(super) fn answer(&self) -> Answer {
        self.answer_as(super::V2)
    }

    pub(super) fn answer_as(&self, content_type: &'static str) -> Answer {
        let body = json!({ "error_code": self.code, "message": self.message });
        let answer = Answer::json(self.status, content_type, &body).retry_after(self.retry_after);
        self.allow.into_iter().fold(answer, |answer, allow| answer.with(http::header::ALLOW, allow))
    }
}

/// The code of one record's error within an answer.
pub(super) fn code_of(kind: RefusalKind) -> u32 {
    match kind {
        RefusalKind::NoTopic => 40401,
        RefusalKind::NoPartition => 40402,
        RefusalKind::Denied => 40301,
        RefusalKind::Full => 42900,
        RefusalKind::Unavailable => 50003,
        RefusalKind::Exists
        | RefusalKind::Invalid
        | RefusalKind::Unsupported
        | RefusalKind::TooLarge
        | RefusalKind::KeyReused
        | RefusalKind::Failed => 50002,
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (kind, message) = (refusal.kind, refusal.message);
        let failure = match kind {
            RefusalKind::NoTopic => Self::no_topic(),
            RefusalKind::NoPartition => Self::no_partition(),
            RefusalKind::Exists => Self::new(StatusCode::CONFLICT, 40903, format!("Illegal state: {message}")),
            RefusalKind::Denied => Self::new(StatusCode::FORBIDDEN, 40301, message),
            RefusalKind::Unavailable => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code_of(kind), format!("Retriable Kafka error: {message}"))
            }
            RefusalKind::Failed => Self::new(StatusCode::INTERNAL_SERVER_ERROR, code_of(kind), format!("Kafka error: {message}")),
            other => Self::status(status_of(other), message),
        };
        Self { retry_after: refusal.retry_after, ..failure }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { retry_after: problem.retry_after, ..Self::status(problem.status, problem.message) }
    }
}
