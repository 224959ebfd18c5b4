//! A proxy before the server that passes requests on, answers in its place, loses answers and cuts them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It is passed on.
    Pass,
    /// It is passed on, and its answer is lost.
    Lose,
    /// It is not passed on, and answered with this error.
    Refuse(u16, &'static str),
    /// So much of its answer is passed on.
    Cut(usize),
    /// The records of a `PutRecords` at these places are left out and reported as failed; the others are passed on.
    FailRecords(Vec<usize>),
}

/// Gets the name of the operation and the body.
type Rule = Box<dyn FnMut(&str, &[u8]) -> Fate + Send>;

/// Passes requests on until the test ends, each over a connection of its own.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    rule: Arc<Mutex<Rule>>,
    touched: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy before the server of the tests that touches nothing.
    pub fn start() -> Self {
        let target = super::address().strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_: &str, _: &[u8]| Fate::Pass)));
        let touched = Arc::new(AtomicUsize::new(0));
        let proxy = Self { address, rule: Arc::clone(&rule), touched: Arc::clone(&touched) };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), target, rule, touched) = (client, target.clone(), Arc::clone(&rule), Arc::clone(&touched)) else {
                    continue;
                };
                std::thread::spawn(move || pass(client, &target, &rule, &touched));
            }
        });
        proxy
    }

    /// Decides by a rule from now on.
    pub fn rule(&self, rule: impl FnMut(&str, &[u8]) -> Fate + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// Lets this happen to every `n`-th request of an operation, at most `times` times.
    pub fn every(&self, operation: &'static str, n: usize, mut times: usize, fate: Fate) {
        let mut count = 0;
        self.rule(move |name, _| {
            count += usize::from(name == operation);
            if name != operation || count % n != 0 || times == 0 {
                return Fate::Pass;
            }
            times -= 1;
            fate.clone()
        });
    }

    /// How many requests were not simply passed on.
    pub fn touched(&self) -> usize {
        self.touched.load(Ordering::SeqCst)
    }
}

/// One request: to the server, and its answer back or nowhere.
fn pass(mut client: TcpStream, target: &str, rule: &Mutex<Rule>, touched: &AtomicUsize) -> Option<()> {
    client.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut request = Vec::new();
    let mut buffer = [0; 16 << 10];
    let end = loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match client.read(&mut buffer).ok()? {
            0 => return None,
            read => request.extend_from_slice(&buffer[..read]),
        }
    };
    let head = String::from_utf8(request[..end].to_vec()).ok()?;
    let header = |name: &str| {
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(|_| line[name.len()..].trim().to_owned()))
    };
    let length = header("content-length:").map_or(0, |length| length.parse::<usize>().unwrap());
    while request.len() < end + length {
        match client.read(&mut buffer).ok()? {
            0 => return None,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let operation = header("x-amz-target:").unwrap_or_default();
    let operation = operation.rsplit('.').next().unwrap_or_default();
    let mut body = request.split_off(end);
    let fate = (rule.lock().unwrap())(operation, &body);
    touched.fetch_add(usize::from(!matches!(fate, Fate::Pass)), Ordering::SeqCst);
    if let Fate::Refuse(status, name) = fate {
        let body = format!("{{\"__type\":\"{name}\",\"message\":\"by the proxy\"}}");
        let head = format!("HTTP/1.1 {status} No\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-errortype: {name}");
        return client.write_all(format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).as_bytes()).ok();
    }
    if let Fate::FailRecords(places) = &fate {
        body = without(&body, places)?;
    }
    let mut server = TcpStream::connect(target).ok()?;
    // The server ends the connection with its answer, which then needs no framing here.
    let kept = head.trim_end().lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        !line.starts_with("connection:") && !line.starts_with("content-length:")
    });
    let head = kept.collect::<Vec<_>>().join("\r\n");
    server.write_all(format!("{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes()).ok()?;
    server.write_all(&body).ok()?;
    match fate {
        Fate::Lose => {
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).ok()?;
            assert!(answer.starts_with(b"HTTP/1.1 2"), "only what was done may be lost: {}", String::from_utf8_lossy(&answer));
            None
        }
        Fate::FailRecords(places) => {
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).ok()?;
            let answer = String::from_utf8(answer).ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "{head}");
            let kept: Vec<&str> = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("content-length:")).collect();
            let body = with_failures(body, &places)?;
            client.write_all(format!("{}\r\nContent-Length: {}\r\n\r\n{body}", kept.join("\r\n"), body.len()).as_bytes()).ok()
        }
        fate => {
            let mut left = if let Fate::Cut(bytes) = fate { bytes } else { usize::MAX };
            while left > 0 {
                let read = server.read(&mut buffer).ok()?.min(left);
                if read == 0 {
                    break;
                }
                client.write_all(&buffer[..read]).ok()?;
                left -= read;
            }
            Some(())
        }
    }
}

/// The body of a `PutRecords` without some records.
fn without(body: &[u8], places: &[usize]) -> Option<Vec<u8>> {
    let mut body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let records = body["Records"].as_array_mut()?;
    let mut place = 0;
    records.retain(|_| {
        place += 1;
        !places.contains(&(place - 1))
    });
    assert!(!records.is_empty(), "some records have to be left");
    serde_json::to_vec(&body).ok()
}

/// Its answer, with failures in the places of the records that were left out.
fn with_failures(body: &str, places: &[usize]) -> Option<String> {
    let mut body: serde_json::Value = serde_json::from_str(body).ok()?;
    let failure = serde_json::json!({ "ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "by the proxy" });
    let done = body["Records"].as_array_mut()?;
    let mut left = std::mem::take(done).into_iter();
    let count = left.len() + places.len();
    *done = (0..count).map_while(|place| if places.contains(&place) { Some(failure.clone()) } else { left.next() }).collect();
    assert_eq!(done.len(), count, "the places are those of records");
    body["FailedRecordCount"] = serde_json::json!(places.len());
    Some(body.to_string())
}
