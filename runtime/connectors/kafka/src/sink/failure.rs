//! What went wrong with the brokers, and whether it may go well later.

use std::time::{Duration, Instant};

use backon::{BlockingRetryable, ExponentialBuilder};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use wasmill_connect::codes::{FENCED, RETRIES_EXHAUSTED};
use wasmill_engine::{Code as ErrorCode, Error, Result};

use crate::client::Health;
use crate::codes::{ACCESS_DENIED, BROKERS_REFUSE, REQUEST_FAILED, TOPIC_MISSING};

/// The pauses between attempts grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    /// Another attempt may go well.
    pub(super) transient: bool,
    /// Another producer of the same name has come up.
    pub(super) fenced: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, transient: false, fenced: false }
    }
}

impl Failure {
    /// An error of librdkafka.
    pub(super) fn of(what: &str, error: &KafkaError) -> Self {
        Self::of_code(what, code(error), &text(error))
    }

    /// An error code, with its message.
    pub(super) fn of_code(what: &str, code: RDKafkaErrorCode, text: &str) -> Self {
        use RDKafkaErrorCode as Code;
        let error = Error::environment(format!("cannot {what}: {text}")).code(kind(code));
        let error = hint(code).into_iter().fold(error, |error, hint| error.hint(hint));
        let fenced = matches!(code, Code::Fenced | Code::InvalidProducerEpoch | Code::ProducerFenced);
        Self { error, transient: !is_final(code), fenced }
    }

    /// Of a question that may go better later.
    pub(super) fn passing(error: Error) -> Self {
        Self { error, transient: true, fenced: false }
    }

    /// That something took too long.
    pub(super) fn late(what: &str) -> Self {
        Self {
            error: Error::environment(format!("cannot {what}: there was no response in time")).code(REQUEST_FAILED),
            transient: true,
            fenced: false,
        }
    }
}

/// The code of an error; those that have none are worth another attempt.
pub(super) fn code(error: &KafkaError) -> RDKafkaErrorCode {
    match error {
        KafkaError::Transaction(error) => error.code(),
        other => other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    }
}

fn text(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => error.string(),
        other => other.rdkafka_error_code().map_or_else(|| other.to_string(), |code| code.to_string()),
    }
}

/// Whether no later attempt can succeed. Whatever is not listed is transient, or occurs again until
/// the retries end.
fn is_final(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::SSL
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::InvalidConfig
            | Code::InvalidReplicationFactor
            | Code::InvalidPartitions
            | Code::InvalidTransactionTimeout
            | Code::PolicyViolation
            | Code::UnsupportedVersion
            | Code::UnsupportedFeature
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType
            | Code::InvalidArgument
    )
}

fn kind(code: RDKafkaErrorCode) -> &'static ErrorCode {
    use RDKafkaErrorCode as Code;
    match code {
        Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed => ACCESS_DENIED,
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism | Code::SSL => BROKERS_REFUSE,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => TOPIC_MISSING,
        Code::Fenced | Code::InvalidProducerEpoch | Code::ProducerFenced => FENCED,
        _ => REQUEST_FAILED,
    }
}

fn hint(code: RDKafkaErrorCode) -> Option<&'static str> {
    use RDKafkaErrorCode as Code;
    Some(match code {
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::TransactionalIdAuthorizationFailed => {
            "the principal needs WRITE and DESCRIBE on the topic, on the topic of `commits_topic` (READ there too, and \
                CREATE where it is missing) and on transactional ids that begin with `wasmill-`; nothing is lost, a later \
                start resumes where this one stopped"
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "was the topic deleted? Create it again with `wasmill topics create`, and start again: the epoch is kept next to the state"
        }
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidRecord | Code::InvalidTimestamp | Code::PolicyViolation => {
            "was the topic's configuration changed after the rows were written for it? Change it back and start again, or \
                drop the epoch with `wasmill state reset`"
        }
        Code::InvalidTransactionTimeout => "`transaction_timeout` is longer than the brokers allow (transaction.max.timeout.ms)",
        Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism | Code::SSL => {
            "check `security`: name, password, mechanism and certificates"
        }
        _ => return None,
    })
}

/// Retries what may succeed later, with growing pauses, until `deadline`.
pub(super) fn with_retries<T>(deadline: Instant, health: &Health, attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
    let begun = Instant::now();
    let mut failures = 0_u32;
    let pauses = ExponentialBuilder::new().with_min_delay(FIRST_PAUSE).with_max_delay(LAST_PAUSE).with_jitter().without_max_times();
    let outcome = attempt
        .retry(pauses)
        .when(|failure: &Failure| failure.transient && Instant::now() < deadline)
        .notify(|failure: &Failure, _| {
            if failures == 0 {
                tracing::warn!(error = %failure.error, "Kafka has an outage; retrying");
            }
            failures += 1;
        })
        .call();
    match outcome {
        Ok(value) => {
            health.up();
            if failures > 0 {
                tracing::info!(failures, "Kafka responds again");
            }
            Ok(value)
        }
        Err(failure) if failure.transient => {
            let (code, why) = match health.refused() {
                Some(refused) => (BROKERS_REFUSE, format!("the brokers refuse the connection: {refused}")),
                None => (RETRIES_EXHAUSTED, health.last()),
            };
            let waited = humantime::format_duration(Duration::from_millis(begun.elapsed().as_millis() as u64));
            Err(Error::environment(format!("{} ({why})", failure.error.message())).code(code).hint(format!(
                "tried for {waited}; nothing is lost, and a later start resumes where this one stopped. `retry: {{ for: … }}` \
                    sets how long to wait for the brokers, and `transaction_timeout` how long writing an epoch may take"
            )))
        }
        Err(failure) => Err(failure.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_end() {
        let health = Health::default();
        let mut attempts = 0;
        let error = with_retries(Instant::now() + Duration::from_millis(200), &health, || {
            attempts += 1;
            Err::<(), _>(Failure::late("try"))
        });
        assert!(error.unwrap_err().hint_text().unwrap().contains("nothing is lost"));
        assert!(attempts > 1, "{attempts}");
        let far = Instant::now() + Duration::from_secs(60);
        let mut attempts = 0;
        let refused = with_retries(far, &health, || {
            attempts += 1;
            Err::<(), _>(Failure::of_code("write", RDKafkaErrorCode::TopicAuthorizationFailed, "no"))
        });
        assert!(refused.unwrap_err().hint_text().unwrap().contains("WRITE") && attempts == 1);
        let mut attempts = 0;
        let value = with_retries(far, &health, || {
            attempts += 1;
            if attempts < 3 { Err(Failure::of_code("commit", RDKafkaErrorCode::Fenced, "no")) } else { Ok(attempts) }
        });
        assert_eq!(value.unwrap(), 3);
    }
}
