//! What a failed request means: whether it is transient, what it implies for the object, and the
//! message for the reader.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use http::StatusCode;
use wasmill_engine::Error;

use wasmill_connect::causes::{find, in_words, innermost};
use wasmill_connect::codes::CLOCK;
use wasmill_connect::credentials::NotRenewed;

use crate::codes::{CONDITIONAL_PUTS, NOT_FOUND, REFUSED, UNREACHABLE};

/// The most of a store's own words that an error repeats.
const MAX_WORDS: usize = 300;

/// What a failed request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Retry: the outcome of the attempt is unknown.
    Passing,
    /// There is no such object.
    NoObject,
    /// There is no such bucket, or not there.
    NoBucket,
    /// There is no such upload, or not with these parts.
    NoUpload,
    /// The request's condition was not met.
    Unmet,
    /// We may not.
    Refused,
    /// The time that the request is signed with is not the store's.
    Skewed,
    /// The store does not know such requests.
    Unable,
    /// Retrying does not help.
    Final,
}

/// A failed request. It holds the store's code, message and status and nothing else of its
/// response, which may contain what was signed.
#[derive(Debug)]
pub struct Failure {
    /// What may be done about it.
    pub kind: Kind,
    words: String,
    /// The outage, for the log.
    outage: String,
    /// The store was there and responded.
    pub(super) is_answer: bool,
}

impl Failure {
    /// A request that can't be built, or a response that is malformed.
    pub(super) fn of_nonsense(words: impl Into<String>) -> Self {
        Self { kind: Kind::Final, words: words.into(), outage: String::new(), is_answer: false }
    }

    /// The store's response to a request, or to one object of it.
    pub(super) fn of_answer(status: Option<StatusCode>, code: Option<&str>, message: Option<&str>) -> Self {
        let kind = match (code.unwrap_or_default(), status.map_or(0, |status| status.as_u16())) {
            ("NoSuchBucket" | "PermanentRedirect", _) | (_, 301) => Kind::NoBucket,
            ("NoSuchUpload" | "InvalidPart", _) => Kind::NoUpload,
            ("NotImplemented", _) | (_, 501) => Kind::Unable,
            ("RequestTimeTooSkewed", _) => Kind::Skewed,
            ("SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable", _) | (_, 408 | 429 | 500..) => Kind::Passing,
            ("AccessDenied" | "ExpiredToken" | "InvalidToken", _) | (_, 401 | 403) => Kind::Refused,
            ("NoSuchKey", _) | (_, 404) => Kind::NoObject,
            (_, 412) => Kind::Unmet,
            _ => Kind::Final,
        };
        let (answered, message) = (status.map(|status| format!(" ({status})")).unwrap_or_default(), message.unwrap_or_default().trim());
        let words = match (code, status) {
            (Some(code), _) if message.is_empty() => format!("{code}{answered}"),
            (Some(code), _) => format!("{code}: {message}{answered}"),
            (None, Some(status)) if !status.is_success() => format!("the store responded {status}"),
            (None, _) => format!("the store's response is not understood{answered}"),
        };
        let outage = format!("it responded {}", status.map_or_else(|| code.unwrap_or_default().to_owned(), |status| status.to_string()));
        Self { kind, words: shorten(&words), outage, is_answer: true }
    }

    /// The same after it was tried so long.
    pub fn after(mut self, tried: Duration) -> Self {
        if tried >= Duration::from_secs(1) {
            self.words = format!("{}; it was tried for {:.0} s", self.words, tried.as_secs_f64());
        }
        self
    }

    /// Whether it surely changed nothing.
    pub fn is_refusal(&self) -> bool {
        matches!(self.kind, Kind::Refused | Kind::Skewed | Kind::Unable)
    }

    /// Whether the requested object is missing.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self.kind, Kind::NoObject | Kind::NoBucket | Kind::NoUpload)
    }

    /// The outage, for the log.
    pub fn outage(&self) -> &str {
        &self.outage
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl StdError for Failure {}

impl<E: StdError + ProvideErrorMetadata + 'static> From<SdkError<E>> for Failure {
    fn from(error: SdkError<E>) -> Self {
        if let SdkError::ServiceError(refusal) = &error {
            let status = StatusCode::from_u16(refusal.raw().status().as_u16()).ok();
            return Self::of_answer(status, refusal.err().code(), refusal.err().message());
        }
        if let Some(error) = find::<NotRenewed>(&error) {
            let outage = "AWS credentials have expired and can't be renewed".to_owned();
            return Self { kind: Kind::Passing, outage, ..Self::of_nonsense(error.to_string()) };
        }
        if let Some(error) = find::<CredentialsError>(&error) {
            let words = format!("no AWS credentials: {}", in_words(error));
            return Self { kind: Kind::Refused, ..Self::of_nonsense(words) };
        }
        let outage = match &error {
            SdkError::ConstructionFailure(_) => return Self::of_nonsense(innermost(&error)),
            SdkError::TimeoutError(_) => "no response in time",
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "no response in time",
            other => of_connection(other),
        };
        Self { kind: Kind::Passing, outage: outage.to_owned(), ..Self::of_nonsense(innermost(&error)) }
    }
}

impl From<ByteStreamError> for Failure {
    /// A response that was cut off.
    fn from(error: ByteStreamError) -> Self {
        Self { kind: Kind::Passing, outage: of_connection(&error).to_owned(), ..Self::of_nonsense(innermost(&error)) }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::of_nonsense(in_words(&error))
    }
}

fn of_connection(error: &(dyn StdError + 'static)) -> &'static str {
    const CUT: [ErrorKind; 4] = [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof];
    match find::<io::Error>(error) {
        Some(error) if !CUT.contains(&error.kind()) => "it can't be connected to",
        _ => "connections to it are cut",
    }
}

/// The error of an operation that a store rejected or did not respond to. `what` names the
/// operation and its object: `"read s3://lake/x"`.
pub fn failed(what: impl fmt::Display, failure: &Failure) -> Error {
    let (code, hint) = match failure.kind {
        Kind::NoObject | Kind::NoBucket | Kind::NoUpload => (NOT_FOUND, "is the name right, and does the bucket exist in that region?"),
        Kind::Refused => (
            REFUSED,
            "check the credentials, their permissions on this bucket, and this machine's clock; nothing is lost, the next \
                run resumes where this one stopped",
        ),
        Kind::Skewed => (CLOCK, "set this machine's clock: the store rejects what is signed with another time than its own"),
        Kind::Unable => (CONDITIONAL_PUTS, "the store must support conditional puts (If-None-Match)"),
        Kind::Passing | Kind::Unmet | Kind::Final => {
            (UNREACHABLE, "is the store there, and can it be reached from here? The next run resumes where this one stopped")
        }
    };
    Error::environment(format!("cannot {what}: {failure}")).code(code).hint(hint)
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::config::http::HttpResponse;
    use aws_sdk_s3::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_sdk_s3::primitives::SdkBody;

    use super::*;

    fn answer(status: u16, code: Option<&str>, message: Option<&str>, body: &'static str) -> Failure {
        let meta = code.into_iter().fold(ErrorMetadata::builder(), |meta, code| meta.code(code));
        let meta = message.into_iter().fold(meta, |meta, message| meta.message(message));
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        SdkError::service_error(GetObjectError::generic(meta.build()), raw).into()
    }

    #[test]
    fn what_was_signed_is_not_displayed() {
        let body = "<Error><CanonicalRequest>x-amz-security-token:SECRET</CanonicalRequest></Error>";
        let failure = answer(403, Some("SignatureDoesNotMatch"), Some("The signature does not match"), body);
        let error = failed("read s3://b/k", &failure);
        assert_eq!(error.message(), "cannot read s3://b/k: SignatureDoesNotMatch: The signature does not match (403 Forbidden)");
        assert!(!format!("{error:?} {failure:?}").contains("SECRET"));
        assert!(error.hint_text().unwrap().starts_with("check the credentials"));
        let bare = failed("read the metadata of s3://b/k", &answer(403, None, None, ""));
        assert_eq!(bare.message(), "cannot read the metadata of s3://b/k: the store responded 403 Forbidden");
        let other = answer(200, None, None, "<html>SECRET</html>");
        assert_eq!(other.to_string(), "the store's response is not understood (200 OK)");
        let page = answer(502, None, None, "<html>SECRET</html>");
        assert_eq!((page.to_string().as_str(), page.outage()), ("the store responded 502 Bad Gateway", "it responded 502 Bad Gateway"));
    }

    #[test]
    fn what_passes_is_distinguished_from_what_does_not() {
        let kind = |status, code| answer(status, Some(code), None, "").kind;
        for (status, code) in [(503, "SlowDown"), (400, "RequestTimeout"), (429, "TooMuch"), (500, "Any"), (200, "InternalError")] {
            assert_eq!(kind(status, code), Kind::Passing, "{code}");
        }
        assert_eq!(
            [kind(404, "NoSuchKey"), kind(404, "NoSuchBucket"), kind(404, "NoSuchUpload")],
            [Kind::NoObject, Kind::NoBucket, Kind::NoUpload]
        );
        assert_eq!([kind(403, "Any"), kind(400, "ExpiredToken"), kind(401, "Any")], [Kind::Refused; 3]);
        assert_eq!(kind(403, "RequestTimeTooSkewed"), Kind::Skewed);
        assert_eq!([kind(412, "PreconditionFailed"), kind(501, "NotImplemented")], [Kind::Unmet, Kind::Unable]);
        assert_eq!([kind(400, "InvalidRequest"), kind(409, "ConditionalRequestConflict")], [Kind::Final; 2]);
        let refused = io::Error::from(ErrorKind::ConnectionRefused);
        let nobody: Failure = SdkError::<GetObjectError>::dispatch_failure(ConnectorError::io(refused.into())).into();
        assert_eq!((nobody.kind, nobody.outage()), (Kind::Passing, "it can't be connected to"));
        let cut = io::Error::from(ErrorKind::ConnectionReset);
        let cut: Failure = SdkError::<GetObjectError>::dispatch_failure(ConnectorError::io(cut.into())).into();
        assert_eq!((cut.kind, cut.outage()), (Kind::Passing, "connections to it are cut"));
        let nobody = CredentialsError::provider_error("out of order");
        let nobody: Failure = SdkError::<GetObjectError>::construction_failure(nobody).into();
        assert_eq!(nobody.kind, Kind::Refused);
        assert!(nobody.to_string().starts_with("no AWS credentials: ") && nobody.to_string().contains("out of order"), "{nobody}");
    }
}
