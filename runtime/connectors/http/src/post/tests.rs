//! Rows posted to a server that does as each test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;

/// What the server does with a request: an answer, or nothing but the end of the connection.
type Script = Vec<Option<&'static str>>;

/// A server that follows a script, a request per connection, and the requests that it got.
fn server(script: Script) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let got: Arc<Mutex<Vec<String>>> = Arc::default();
    let requests = Arc::clone(&got);
    std::thread::spawn(move || {
        for answer in script {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut text, mut length) = (String::new(), 0);
            loop {
                let start = text.len();
                reader.read_line(&mut text).unwrap();
                let line = text[start..].to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            requests.lock().unwrap().push(text + &String::from_utf8(body).unwrap());
            if let Some(answer) = answer {
                let (status, rest) = answer.split_once('\n').unwrap_or((answer, ""));
                let (headers, body) = rest.split_once("\n\n").unwrap_or(("", rest));
                let headers = if headers.is_empty() { String::new() } else { format!("{headers}\r\n") };
                let length = body.len();
                let text = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                reader.get_mut().write_all(text.as_bytes()).unwrap();
            }
        }
    });
    (format!("http://{address}"), got)
}

fn poster(url: &str, with_keys: bool, retry: Duration) -> Poster {
    let token = (!url.contains('@')).then(|| Secret::new("t0ken"));
    let config = PostConfig { url: Secret::new(url), token, ca: None, with_keys, retry };
    Poster::new(&config, 2).unwrap()
}

const LONG: Duration = Duration::from_secs(60);
const OFFSET: &str = "200 OK\n{\"offsets\":[{\"partition\":0,\"offset\":7}]}";

fn key(request: &str) -> String {
    request.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap_or_default().trim().to_owned()
}

#[test]
fn a_row_that_may_be_taken_later_is_sent_again_with_its_key() {
    let (url, got) = server(vec![Some("429 Too Many\nRetry-After: 1\n\nbusy"), None, Some("503 Away\n"), Some(OFFSET), Some(OFFSET)]);
    let poster = poster(&format!("{url}/topics/{{name}}"), true, LONG);
    let begun = Instant::now();
    poster.send("a.pin", "{\"a\":1}").unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
    poster.send("a.geo", "{\"b\":1}").unwrap();
    let got = got.lock().unwrap();
    assert!(
        got[0].starts_with("POST /topics/a.pin HTTP/1.1\r\n") && got[0].ends_with("\r\n\r\n{\"records\":[{\"value\":{\"a\":1}}]}"),
        "{}",
        got[0]
    );
    assert!(got[0].contains("content-type: application/vnd.kafka.json.v2+json\r\n") && got[0].contains("authorization: Bearer t0ken\r\n"));
    let keys: Vec<String> = got.iter().map(|request| key(request)).collect();
    assert!(keys[0].len() > 20 && keys[..4].iter().all(|key| *key == keys[0]) && keys[4] != keys[0], "{keys:?}");
}

#[test]
fn without_keys_a_lost_answer_stops_and_no_key_is_sent() {
    let (url, got) = server(vec![Some("503 Away\n"), None]);
    let error = poster(&format!("{url}/ingest/{{name}}"), false, LONG).send("pin", "{}").unwrap_err();
    assert_eq!(error.kind().unwrap().name, "http/post-unanswered");
    assert!(error.message().contains("may be there or not"), "{error}");
    let got = got.lock().unwrap();
    assert!(got.len() == 2 && got.iter().all(|request| !request.contains("idempotency-key")), "{got:?}");
}

#[test]
fn what_is_refused_stops_at_once_and_shows_no_secrets() {
    let (url, got) = server(vec![
        Some("401 Unauthorized\n{\"message\":\"who are you\"}"),
        Some("302 Found\nLocation: /login\n\n"),
        Some("200 OK\n<html>"),
        Some("400 Bad\n{\"message\":\"Idempotency-Key is not possible\"}"),
    ]);
    let poster = poster(&format!("{}/streams/{{name}}/record?code=hush", url.replace("//", "//u:hush@")), true, LONG);
    let fail = || poster.send("s", "{}").unwrap_err();
    for (told, hint) in [
        ("401 Unauthorized: who are you", "--token"),
        ("302 Found", "not followed"),
        ("without a sequence number", ""),
        ("400 Bad Request", "--no-keys"),
    ] {
        let error = fail();
        assert_eq!(error.kind().unwrap().name, "http/post-refused");
        assert!(error.message().contains(told) && error.hint_text().unwrap_or_default().contains(hint), "{error}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let request = got.lock().unwrap()[0].clone();
    assert!(request.contains("authorization: Basic dTpodXNo\r\n"), "{request}");
    assert!(request.starts_with("PUT /streams/s/record?code=hush HTTP/1.1"), "{request}");
}

#[test]
fn retries_end() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error =
        poster(&format!("http://u:hush@{nobody}/x/{{name}}?y=hush"), false, Duration::from_millis(300)).send("pin", "{}").unwrap_err();
    assert_eq!(error.kind().unwrap().name, "http/post-unanswered");
    assert!(error.hint_text().unwrap().contains("tried for") && !format!("{error:?}").contains("hush"), "{error:?}");
    let (url, _) = server(vec![Some("429 Too Many\nRetry-After: 3600\n\n")]);
    let begun = Instant::now();
    let error = poster(&format!("{url}/x/{{name}}"), true, LONG).send("pin", "{}").unwrap_err();
    assert!(error.hint_text().unwrap().contains("in 1h") && begun.elapsed() < Duration::from_secs(20), "{error:?}");
}
