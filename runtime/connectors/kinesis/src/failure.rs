//! What an error of Kinesis means: whether it is transient, and the message.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use wasmill_engine::Error;

use wasmill_connect::aws::NO_CREDENTIALS;
use wasmill_connect::causes::{find, in_words, innermost};
use wasmill_connect::codes::{CLOCK, CREDENTIALS_MISSING};
use wasmill_connect::credentials::NotRenewed;

use crate::codes::{ACCESS_DENIED, REQUEST_FAILED, STREAM_MISSING};

/// What to do about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Retry.
    Passing,
    /// Get another iterator.
    Expired,
    /// There is no such thing.
    NotFound,
    /// It is there already, or not ready.
    InUse,
    /// The request's values do not fit.
    Invalid,
    /// Nothing helps.
    Final,
}

/// A failed request.
#[derive(Debug)]
pub(super) struct Failure {
    pub kind: Kind,
    pub error: Error,
    /// Nothing is wrong: something takes its time.
    pub is_wait: bool,
}

impl Failure {
    /// A transient failure on which the client has no details.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self { kind: Kind::Passing, error: Error::environment(message).code(REQUEST_FAILED), is_wait: false }
    }

    /// Something that takes its time, which is nothing to warn of.
    pub(super) fn waiting(message: impl Into<String>) -> Self {
        Self { is_wait: true, ..Self::passing(message) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { kind: Kind::Final, error, is_wait: false }
    }
}

/// Judges the error of a request; `what` names it: "read the shard x".
pub(super) fn judge<E, R>(what: &str, error: &SdkError<E, R>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    if let SdkError::ServiceError(service) = error {
        let error = service.err();
        let code = error.code().unwrap_or("an error without a name");
        return of_service(what, code, error.message().unwrap_or_default());
    }
    if let Some(error) = find::<NotRenewed>(error) {
        return Failure::passing(format!("cannot {what}: {error}"));
    }
    if let Some(error) = find::<CredentialsError>(error) {
        return Error::environment(format!("cannot {what}: no AWS credentials: {}", in_words(error)))
            .code(CREDENTIALS_MISSING)
            .hint(NO_CREDENTIALS)
            .into();
    }
    let why = innermost(error);
    let kind = if matches!(error, SdkError::ConstructionFailure(_)) { Kind::Final } else { Kind::Passing };
    Failure { kind, error: Error::environment(format!("cannot {what}: {why}")).code(REQUEST_FAILED), is_wait: false }
}

/// Judges the service's error: of a request, or of one record of it.
pub(super) fn of_service(what: &str, name: &str, message: &str) -> Failure {
    // Names come as `com.amazonaws.kinesis.v20131202#Name` from some servers.
    let name = name.rsplit('#').next().unwrap_or(name);
    let message = message.trim();
    let text = if message.is_empty() { format!("cannot {what}: {name}") } else { format!("cannot {what}: {name}: {message}") };
    let error = Error::environment(text);
    let (code, kind, hint) = match name {
        "ExpiredIteratorException" | "ExpiredNextTokenException" => (REQUEST_FAILED, Kind::Expired, None),
        "ResourceNotFoundException" => (STREAM_MISSING, Kind::NotFound, Some("is the name right, and the region?")),
        "ResourceInUseException" => (REQUEST_FAILED, Kind::InUse, None),
        "InvalidArgumentException" | "ValidationException" | "SerializationException" => (REQUEST_FAILED, Kind::Invalid, None),
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => (
            ACCESS_DENIED,
            Kind::Final,
            Some(
                "the principal needs kinesis:DescribeStreamSummary, ListShards, GetShardIterator, GetRecords (and for fan-out RegisterStreamConsumer, DescribeStreamConsumer, SubscribeToShard; to write PutRecords)",
            ),
        ),
        "ExpiredTokenException" | "ExpiredToken" => {
            (ACCESS_DENIED, Kind::Final, Some("the credentials have expired: set others, or let AWS's chain renew them"))
        }
        "UnrecognizedClientException" | "InvalidSignatureException" | "InvalidClientTokenId" | "MissingAuthenticationTokenException" => {
            (ACCESS_DENIED, Kind::Final, Some("the credentials are wrong, or this machine's clock is"))
        }
        "RequestExpired" => (CLOCK, Kind::Final, Some("this machine's clock is wrong")),
        name if name.starts_with("KMS") && name != "KMSThrottlingException" => {
            (ACCESS_DENIED, Kind::Final, Some("the stream's key in KMS can't be used"))
        }
        // Too much at once, and what is wrong on their side.
        _ => (REQUEST_FAILED, Kind::Passing, None),
    };
    Failure { kind, error: hint.into_iter().fold(error.code(code), Error::hint), is_wait: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_distinguished_from_what_does_not() {
        let kind = |code: &str| of_service("read", code, "").kind;
        for code in [
            "ProvisionedThroughputExceededException",
            "LimitExceededException",
            "InternalFailureException",
            "ServiceUnavailable",
            "ThrottlingException",
            "KMSThrottlingException",
        ] {
            assert_eq!(kind(code), Kind::Passing, "{code}");
        }
        assert_eq!(kind("com.amazonaws.kinesis.v20131202#ExpiredIteratorException"), Kind::Expired);
        assert_eq!(kind("ResourceNotFoundException"), Kind::NotFound);
        for code in ["AccessDeniedException", "ExpiredTokenException", "KMSDisabledException"] {
            let failure = of_service("read", code, "no");
            assert_eq!(failure.kind, Kind::Final);
            assert!(failure.error.hint_text().is_some(), "{code}");
        }
    }
}
