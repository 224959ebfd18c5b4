//! The address of what rows are posted to, and the wire format that its path implies.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::json;
use url::{Position, Url};
use wasmill_engine::{Error, Result};

use crate::codes::POST_URL;

/// What stands for the name of a topic, stream or table.
const NAME: &str = "{name}";
/// Everything else in a name is encoded.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The key that producers of this domain give every record.
const PARTITION_KEY: &str = "partition-1";
const EXAMPLES: &str =
    "write `{name}` where the name belongs: http://host/topics/{name}, https://host/test/streams/{name}/record, http://host/ingest/{name}";

/// What a row is posted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A record of Kafka's REST proxy, version 2: `POST …/topics/{name}`.
    KafkaRest,
    /// A record of Kinesis behind an API gateway: `PUT …/streams/{name}/record`.
    Kinesis,
    /// The row itself: `POST` to any other path.
    Document,
}

/// An address with a place for names.
#[derive(Clone)]
pub(super) struct Target {
    /// May hold a password: it is never shown.
    template: String,
    has_user: bool,
    pub form: Form,
}

/// A row, ready to be sent.
pub(super) struct Posted {
    pub url: Url,
    pub content_type: &'static str,
    pub body: String,
}

impl Target {
    /// Reads an address for so many names.
    ///
    /// # Errors
    /// Configuration. No message repeats the address, which may hold a password.
    pub(super) fn read(text: &str, names: usize) -> Result<Self> {
        let wrong = |what: &str| Error::configuration(what.to_owned()).code(POST_URL).hint(EXAMPLES);
        let parse = |name: &str| Url::parse(&text.replace(NAME, name)).map_err(|_| wrong("the address to post to is not a URL"));
        let (one, other) = (parse("one")?, parse("other")?);
        if !matches!(one.scheme(), "http" | "https") || !one.has_host() {
            return Err(wrong("the address to post to does not begin with `http://` or `https://` and a host"));
        }
        if one[..Position::BeforePath] != other[..Position::BeforePath] || one[Position::AfterPath..] != other[Position::AfterPath..] {
            return Err(wrong("`{name}` belongs into the path of the address"));
        }
        if names > 1 && one == other {
            return Err(wrong("the address has no `{name}`, so that the rows of all tables would be mixed"));
        }
        let has_user = !one.username().is_empty() || one.password().is_some();
        Ok(Self { template: text.to_owned(), has_user, form: form(&one).map_err(|what| wrong(&what))? })
    }

    /// Whether the address names a user.
    pub(super) fn has_user(&self) -> bool {
        self.has_user
    }

    /// A row for a name.
    pub(super) fn post(&self, name: &str, row: &str) -> Result<Posted> {
        let encoded = utf8_percent_encode(name, KEPT).to_string();
        let url = Url::parse(&self.template.replace(NAME, &encoded))
            .map_err(|_| Error::configuration(format!("{name:?} can't be a part of the address")).code(POST_URL))?;
        let (content_type, body) = match self.form {
            Form::KafkaRest => ("application/vnd.kafka.json.v2+json", format!(r#"{{"records":[{{"value":{row}}}]}}"#)),
            Form::Kinesis => {
                let (stream, key) = (json!(stream(&url)), json!(PARTITION_KEY));
                ("application/json", format!(r#"{{"StreamName":{stream},"Data":{row},"PartitionKey":{key}}}"#))
            }
            Form::Document => ("application/json", row.to_owned()),
        };
        Ok(Posted { url, content_type, body })
    }
}

impl Posted {
    /// Where it goes, without credentials.
    pub(super) fn place(&self) -> String {
        format!("{}://{}{}", self.url.scheme(), &self.url[Position::BeforeHost..Position::AfterPort], self.url.path())
    }
}

fn segments(url: &Url) -> Vec<&str> {
    url.path().split('/').filter(|segment| !segment.is_empty()).collect()
}

/// The stream in the path of a record.
fn stream(url: &Url) -> String {
    let segments = segments(url);
    let encoded = segments.len().checked_sub(2).and_then(|at| segments.get(at)).copied().unwrap_or_default();
    percent_decode_str(encoded).decode_utf8_lossy().into_owned()
}

fn form(url: &Url) -> Result<Form, String> {
    match segments(url).as_slice() {
        [.., "topics", _] => Ok(Form::KafkaRest),
        [.., "streams", _, "record"] => Ok(Form::Kinesis),
        [] => Err("the address has no path".to_owned()),
        [.., "streams", _] | [.., "streams", _, "records"] => {
            Err("the path of a record of Kinesis ends in `/streams/{name}/record`".to_owned())
        }
        [.., "topics", _, _] => Err("the path of a record of Kafka's REST proxy ends in `/topics/{name}`".to_owned()),
        _ => Ok(Form::Document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posted(template: &str, name: &str) -> (Form, String, String) {
        let target = Target::read(template, 1).unwrap();
        let posted = target.post(name, r#"{"a":1}"#).unwrap();
        (target.form, posted.place(), posted.body)
    }

    #[test]
    fn the_path_decides_the_form() {
        let (form, place, body) = posted("http://u:hush@h:8082/topics/{name}?x=1", "a.pin");
        assert_eq!(
            (form, place.as_str(), body.as_str()),
            (Form::KafkaRest, "http://h:8082/topics/a.pin", r#"{"records":[{"value":{"a":1}}]}"#)
        );
        let (form, place, body) = posted("https://h/test/streams/{name}/record", "s é/");
        assert_eq!((form, place.as_str()), (Form::Kinesis, "https://h/test/streams/s%20%C3%A9%2F/record"));
        assert_eq!(body, r#"{"StreamName":"s é/","Data":{"a":1},"PartitionKey":"partition-1"}"#);
        assert_eq!(posted("http://h/ingest/{name}", "pin").2, r#"{"a":1}"#);
        assert_eq!(
            posted("http://h/streams/fixed/record", "pin").2,
            r#"{"StreamName":"fixed","Data":{"a":1},"PartitionKey":"partition-1"}"#
        );
    }

    #[test]
    fn mistakes_are_found_and_addresses_not_repeated() {
        let failed = |text: &str| Target::read(text, 2).err().unwrap_or_else(|| panic!("{text}")).to_string();
        for text in [
            "hush",
            "ftp://u:hush@h/{name}",
            "http://u:hush@{name}/topics/x",
            "http://u:hush@h/topics/x",
            "http://u:hush@h",
            "http://h/x?hush={name}",
        ] {
            assert!(!failed(text).contains("hush"), "{text}: {}", failed(text));
        }
        assert!(failed("http://h/streams/{name}").contains("/record`"));
        assert!(failed("http://h/topics/{name}/records").contains("/topics/{name}`"));
        assert!(failed("http://h/topics/all").contains("mixed"));
    }
}
