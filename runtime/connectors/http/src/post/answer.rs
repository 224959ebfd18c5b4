//! What an answer to a posted row means.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::Value;

use super::target::Form;

/// The most characters of an answer that a message repeats.
const QUOTED_CHARACTERS: usize = 300;
/// Codes of the REST proxy for records that may be taken later.
const LATER: [i64; 2] = [2, 50003];

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has it.
    Taken,
    /// The server does not have it, and may take it later; why.
    Later(String),
    /// The server does not take it; why.
    Refused(String),
}

/// Judges an answer. A status of success is not enough: proxies give it to records that failed.
pub(super) fn judge(form: Form, status: StatusCode, body: &[u8]) -> Verdict {
    if status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE {
        return Verdict::Later(format!("{status}{}", said(body)));
    }
    if !status.is_success() {
        return Verdict::Refused(format!("{status}{}", said(body)));
    }
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    match form {
        Form::KafkaRest => of_proxy(&value, body),
        Form::Kinesis => of_kinesis(&value, body),
        Form::Document => match value.get("accepted").and_then(Value::as_u64) {
            Some(accepted) if accepted != 1 => Verdict::Refused(format!("{status}, and {accepted} records were accepted{}", said(body))),
            _ => Verdict::Taken,
        },
    }
}

/// One offset, or an error in its place.
fn of_proxy(value: &Value, body: &[u8]) -> Verdict {
    let Some([placed]) = value["offsets"].as_array().map(Vec::as_slice) else {
        return Verdict::Refused(format!("success without an offset, as no REST proxy of Kafka answers{}", said(body)));
    };
    match (placed["error_code"].as_i64(), placed["offset"].as_i64()) {
        (None, Some(_)) => Verdict::Taken,
        (Some(code), _) if LATER.contains(&code) => Verdict::Later(format!("error {code}: {}", quoted(&placed["error"]))),
        (Some(code), _) => Verdict::Refused(format!("error {code}: {}", quoted(&placed["error"]))),
        (None, None) => Verdict::Refused(format!("success without an offset, as no REST proxy of Kafka answers{}", said(body))),
    }
}

/// An API gateway without mappings of errors gives them the status of success.
fn of_kinesis(value: &Value, body: &[u8]) -> Verdict {
    if value["SequenceNumber"].is_string() {
        return Verdict::Taken;
    }
    let kind = value["__type"].as_str().unwrap_or_default();
    let what = format!("success without a sequence number{}", said(body));
    match kind.contains("ThroughputExceeded") || kind.contains("LimitExceeded") || kind.contains("ServiceUnavailable") {
        true => Verdict::Later(what),
        false => Verdict::Refused(what),
    }
}

/// What the server said, for a message: `: …`; nothing if it said nothing.
fn said(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let words = [&value["message"], &value["Message"], &value["detail"]].into_iter().find(|words| words.is_string());
    let text = words.map_or_else(|| shortened(&String::from_utf8_lossy(body)), quoted);
    if text.is_empty() { text } else { format!(": {text}") }
}

fn quoted(value: &Value) -> String {
    shortened(value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str())
}

/// One line.
fn shortened(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(QUOTED_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// How long a server wants to be left alone: seconds, or a moment.
pub(super) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let text = header.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = httpdate::parse_http_date(text).ok()?;
    Some(moment.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: Form, status: u16, body: &str) -> Verdict {
        judge(form, StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn success_is_what_the_body_says() {
        let rest = |offset: &str| of(Form::KafkaRest, 200, &format!(r#"{{"offsets":[{offset}]}}"#));
        assert_eq!(rest(r#"{"partition":0,"offset":3,"error_code":null,"error":null}"#), Verdict::Taken);
        assert_eq!(rest(r#"{"partition":0,"offset":3}"#), Verdict::Taken);
        assert_eq!(rest(r#"{"error_code":50003,"error":"a broker is away"}"#), Verdict::Later("error 50003: a broker is away".into()));
        assert_eq!(rest(r#"{"error_code":1,"error":"no"}"#), Verdict::Refused("error 1: no".into()));
        for strange in ["<html>login</html>", "", "{}", r#"{"offsets":[]}"#, r#"{"offsets":[{}]}"#] {
            assert!(matches!(of(Form::KafkaRest, 200, strange), Verdict::Refused(_)), "{strange}");
        }
        assert_eq!(of(Form::Kinesis, 200, r#"{"SequenceNumber":"1","ShardId":"s"}"#), Verdict::Taken);
        assert!(matches!(of(Form::Kinesis, 200, r#"{"__type":"ProvisionedThroughputExceededException"}"#), Verdict::Later(_)));
        assert!(matches!(of(Form::Kinesis, 200, r#"{"__type":"ResourceNotFoundException"}"#), Verdict::Refused(_)));
        assert_eq!((of(Form::Document, 204, ""), of(Form::Document, 200, r#"{"accepted":1}"#)), (Verdict::Taken, Verdict::Taken));
        assert!(matches!(of(Form::Document, 200, r#"{"accepted":0}"#), Verdict::Refused(_)));
    }

    #[test]
    fn a_refusal_is_quoted_in_one_short_line() {
        assert_eq!(of(Form::Document, 404, "{\"message\":\"no\\n topic\"}"), Verdict::Refused("404 Not Found: no topic".into()));
        assert_eq!(of(Form::Document, 503, ""), Verdict::Later("503 Service Unavailable".into()));
        let Verdict::Refused(long) = of(Form::Document, 500, &"é ".repeat(1000)) else { panic!("it is refused") };
        assert!(long.ends_with('…') && long.chars().count() < 350, "{long}");
        assert!(matches!(of(Form::Document, 302, ""), Verdict::Refused(_)), "nothing is followed");
    }

    #[test]
    fn waits_are_seconds_or_moments() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 30);
        assert_eq!(retry_after(" 7 ", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + Duration::from_secs(60)), Some(Duration::ZERO));
        assert_eq!((retry_after("soon", now), retry_after("-1", now)), (None, None));
    }
}
