//! The wire formats that a route can speak.

use http::StatusCode;

use crate::answer::{Answer, Problem};
use crate::ingest::Ingest;
use crate::kafka_rest::KafkaRest;
use crate::kinesis_api::KinesisApi;
use crate::openapi::Operation;
use crate::request::Request;

/// A wire format, with what lies behind it.
pub enum Protocol {
    /// The Confluent REST proxy for Kafka, versions 2 and 3.
    KafkaRest(KafkaRest),
    /// Kinesis behind an API gateway of AWS.
    KinesisApi(KinesisApi),
    /// Documents: JSON, JSON lines, CSV.
    Ingest(Ingest),
}

impl Protocol {
    /// The first parts of the paths that it answers.
    pub(crate) fn roots(&self) -> Vec<Vec<String>> {
        let root = |name: &str| vec![name.to_owned()];
        match self {
            Self::KafkaRest(_) => ["topics", "consumers", "v3", "brokers"].map(root).into(),
            Self::KinesisApi(_) => vec![root("streams")],
            Self::Ingest(ingest) => ingest.roots(),
        }
    }

    pub(crate) async fn answer(&self, request: Request) -> Answer {
        match self {
            Self::KafkaRest(protocol) => protocol.answer(request).await,
            Self::KinesisApi(protocol) => protocol.answer(request).await,
            Self::Ingest(protocol) => protocol.answer(request).await,
        }
    }

    /// The answer to a request that is refused before its protocol has seen it.
    pub(crate) fn refuse(&self, problem: &Problem) -> Answer {
        match self {
            Self::KinesisApi(_) => crate::kinesis_api::refuse(problem),
            Self::KafkaRest(_) | Self::Ingest(_) => refuse(problem),
        }
    }

    /// What can be asked of it, for its description.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        match self {
            Self::KafkaRest(_) => crate::kafka_rest::operations(),
            Self::KinesisApi(_) => crate::kinesis_api::operations(),
            Self::Ingest(ingest) => ingest.operations(),
        }
    }
}

/// The answer to a problem in the form of the REST proxy: `{"error_code": 404, "message": "…"}`.
pub(crate) fn refuse(problem: &Problem) -> Answer {
    let code = problem.status.as_u16();
    let body = serde_json::json!({ "error_code": code, "message": problem.message });
    problem.complete(Answer::json(problem.status, "application/json", &body))
}

/// The status of a refusal, where a protocol has no code of its own for it.
pub(crate) fn status_of(kind: crate::RefusalKind) -> StatusCode {
    use crate::RefusalKind as Kind;
    match kind {
        Kind::NoTopic | Kind::NoPartition => StatusCode::NOT_FOUND,
        Kind::Exists => StatusCode::CONFLICT,
        Kind::Invalid | Kind::Unsupported => StatusCode::BAD_REQUEST,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Full => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
