//! What a store's refusal means for people.

use std::fmt;

use object_store::Error as StoreError;
use wasmill_engine::Error;

/// The most of a store's own words that an error repeats.
const MOST_WORDS: usize = 300;

/// The error of an operation that a store refused or did not answer. `what` names the operation and its object: `"read s3://lake/x"`.
///
/// The store's answer is not repeated as it is: it may show what was signed, session tokens included.
pub(crate) fn failed(what: impl fmt::Display, error: &StoreError) -> Error {
    failed_in_words(what, &error.to_string(), kind(error))
}

/// The same, of a library that passes on a store's error as text.
pub(crate) fn failed_elsewhere(what: impl fmt::Display, words: &str) -> Error {
    failed_in_words(what, words, kind_of_words(words))
}

fn failed_in_words(what: impl fmt::Display, words: &str, kind: Kind) -> Error {
    let hint = match kind {
        Kind::Missing => "is the name right, and does the bucket exist in that region?",
        Kind::Refused => {
            "check the credentials, their rights to this bucket, and this machine's clock; nothing is lost, the next run goes on where this one \
             stopped"
        }
        Kind::Unable => "the store must know conditional puts (If-None-Match)",
        Kind::Unclear => "is the store there, and can it be reached from here? The next run goes on where this one stopped",
    };
    Error::environment(format!("cannot {what}: {}", told(words))).hint(hint)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    Refused,
    Unable,
    /// Nobody knows what the attempt did.
    Unclear,
}

fn kind(error: &StoreError) -> Kind {
    match error {
        StoreError::NotFound { .. } => Kind::Missing,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => Kind::Refused,
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } | StoreError::InvalidPath { .. } => Kind::Unable,
        // Lists and uploads have no kinds in the store's library.
        other => kind_of_words(&other.to_string()),
    }
}

fn kind_of_words(words: &str) -> Kind {
    let any = |marks: &[&str]| marks.iter().any(|mark| words.contains(mark));
    if any(&["status code: 401", "status code: 403", "no AWS credentials"]) {
        Kind::Refused
    } else if any(&["NoSuchBucket"]) {
        Kind::Missing
    } else {
        Kind::Unclear
    }
}

/// A store's own words, without what they may quote of the request.
fn told(text: &str) -> String {
    let between = |open: &str, close: &str| {
        let start = text.find(open)? + open.len();
        Some(text[start..].split(close).next().unwrap_or_default().to_owned())
    };
    let status = text.split("status code: ").nth(1).and_then(|rest| rest.split([':', '<']).next()).map(str::trim);
    match (between("<Code>", "</Code>"), between("<Message>", "</Message>")) {
        (Some(code), message) => {
            let message = message.map(|message| format!(": {message}")).unwrap_or_default();
            shorten(&format!("{code}{message}{}", status.map(|status| format!(" ({status})")).unwrap_or_default()))
        }
        // An answer to HEAD has no text; what the library says around it is long and ends with what counts.
        (None, _) if status.is_some_and(|status| !status.is_empty()) => {
            shorten(&format!("the store answered {}", status.unwrap_or_default()))
        }
        (None, _) => shorten(text.split('<').next().unwrap_or_default().trim_end_matches([' ', ':', '\n'])),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether an attempt with this error surely changed nothing.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    matches!(kind(error), Kind::Refused | Kind::Unable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> StoreError {
        StoreError::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn what_was_signed_is_not_told() {
        let body = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code>\
                    <Message>The signature does not match</Message><CanonicalRequest>x-amz-security-token:SECRET</CanonicalRequest></Error>";
        let error = failed("read s3://b/k", &generic(body));
        assert_eq!(error.message(), "cannot read s3://b/k: SignatureDoesNotMatch: The signature does not match (403 Forbidden)");
        assert!(!format!("{error:?}").contains("SECRET"));
        assert!(error.hint_text().unwrap().starts_with("check the credentials"));
        let bare = "The operation lacked the necessary privileges to complete for path k: Error performing HEAD http://s/b/k in 9µs - \
                    Server returned non-2xx status code: 403 Forbidden: ";
        assert_eq!(failed("look at s3://b/k", &generic(bare)).message(), "cannot look at s3://b/k: the store answered 403 Forbidden");
        let page = failed("read s3://b/k", &generic("Server returned 502: <html>SECRET</html>"));
        assert!(!format!("{page:?}").contains("SECRET") && page.message().contains("502"), "{page}");
    }
}
