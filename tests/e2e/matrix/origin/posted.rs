//! Posts that producers send to a pipeline which listens, until it has answered each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Origin;
use crate::gateway::client::Connection;
use crate::kafka_broker::ports::free_ports;
use crate::support::{Arrival, Pins, Workshop};

/// Records of a request.
const RECORDS: usize = 20;
const PRODUCERS: usize = 4;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

/// The source `http`, and producers that keep posting while it is killed and started again.
pub struct Posted {
    port: u16,
    queue: Arc<Queue>,
    producers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    requests: Mutex<VecDeque<Request>>,
    /// Requests without an answer.
    open: AtomicUsize,
    sent: AtomicUsize,
    /// The record of the log that each post is, by the answers.
    places: Mutex<BTreeMap<u64, u64>>,
    stop: AtomicBool,
}

struct Request {
    key: String,
    numbers: Vec<u64>,
    body: String,
}

impl Origin for Posted {
    const NAME: &'static str = "http";
    const POSTS: u64 = 3_000;
    const POINTS: &'static [&'static str] =
        &["http-log-before-sync", "http-log-before-answer", "http-log-after-read-to", "http-log-after-keys", "http-log-after-trim"];
    const LISTENS: bool = true;

    fn new() -> Self {
        let (port, queue) = (free_ports(1)[0], Arc::<Queue>::default());
        let run = |_| {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.run(port))
        };
        Self { port, producers: (0..PRODUCERS).map(run).collect(), queue }
    }

    fn source(&self) -> String {
        // A small log has many segments, and is full at times.
        format!("http: {{ server: {{ listen: \"127.0.0.1:{}\" }}, folder: log, max_log: 1MiB }}", self.port)
    }

    fn add(&mut self, _: &Workshop, posts: &Arrival) {
        let numbers: Vec<u64> = posts.numbers().collect();
        for numbers in numbers.chunks(RECORDS) {
            // As bytes: lines that are no JSON, too.
            let record = |number: &u64| json!({ "value": STANDARD.encode(Pins(*number..number + 1).lines().trim_end()) });
            let body = json!({ "records": numbers.iter().map(record).collect::<Vec<_>>() }).to_string();
            let key = format!("request-{}", self.queue.sent.fetch_add(1, Ordering::SeqCst));
            self.queue.open.fetch_add(1, Ordering::SeqCst);
            self.queue.requests.lock().unwrap().push_back(Request { key, numbers: numbers.to_vec(), body });
        }
    }

    fn wrong_place(&self, number: u64, partition: &str, position: u64) -> Option<String> {
        let answered = self.queue.places.lock().unwrap().get(&number).copied();
        (partition != "requests" || answered != Some(position)).then(|| format!("the answer says record {answered:?}"))
    }

    fn is_settled(&self) -> bool {
        self.queue.open.load(Ordering::SeqCst) == 0 && Connection::open(self.port).is_ok()
    }

    fn left_over(&self, workshop: &Workshop) -> Vec<String> {
        let folder = workshop.path("log/matrix/pins");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let is_numbered =
            |name: &str| ["segment-", "keys-"].iter().any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.len() == 20));
        names.filter(|name| !["id", "lock", "read-to"].contains(&name.as_str()) && !is_numbered(name)).collect()
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.queue.stop.store(true, Ordering::SeqCst);
        self.producers.drain(..).for_each(|producer| drop(producer.join()));
    }
}

impl Queue {
    fn run(&self, port: u16) {
        let mut connection = None;
        while !self.stop.load(Ordering::SeqCst) {
            let request = self.requests.lock().unwrap().pop_front();
            match request {
                Some(request) => self.post(port, &mut connection, &request),
                None => std::thread::park_timeout(PAUSE),
            }
        }
    }

    /// Sends a request with its key until it is answered.
    fn post(&self, port: u16, connection: &mut Option<Connection>, request: &Request) {
        let headers = [("Content-Type", "application/vnd.kafka.binary.v2+json"), ("Idempotency-Key", request.key.as_str())];
        while !self.stop.load(Ordering::SeqCst) {
            if connection.is_none() {
                *connection = Connection::open(port).ok();
            }
            match connection.as_mut().map(|open| open.ask("POST", "/topics/pins", &headers, request.body.as_bytes())) {
                Some(Ok(answer)) if answer.status == 200 => return self.note(request, &answer.json()["offsets"]),
                // It is full, or begins or stops.
                Some(Ok(answer)) => assert!([404, 429, 503].contains(&answer.status), "{}: {:?}", answer.status, answer.json()),
                Some(Err(_)) | None => *connection = None,
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    fn note(&self, request: &Request, offsets: &Value) {
        let mut places = self.places.lock().unwrap();
        for (number, offset) in request.numbers.iter().zip(offsets.as_array().unwrap()) {
            places.entry(*number).or_insert(offset["offset"].as_u64().unwrap());
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}
