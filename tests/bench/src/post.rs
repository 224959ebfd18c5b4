//! Load on a gateway: connections that post as fast as they are answered; and an equal producer straight into Kafka.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::Result;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is posted, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct Load {
    /// Connections at a time
    #[arg(long)]
    pub connections: usize,
    /// Rows of a request
    #[arg(long)]
    pub rows: usize,
    #[arg(long)]
    pub seconds: u64,
}

/// What came of it, as one line of JSON.
fn report(load: &Load, mut waits: Vec<f64>, seconds: f64) {
    waits.sort_by(f64::total_cmp);
    let at =
        |share: f64| waits.get(((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1))).copied().unwrap_or_default();
    let requests = waits.len() as f64 / seconds;
    let line = serde_json::json!({
        "requests_per_second": requests, "rows_per_second": requests * load.rows as f64, "p50_ms": at(0.5) * 1e3, "p99_ms": at(0.99) * 1e3,
    });
    println!("{line}");
}

/// Runs one thread per connection until the time is over; each call is one request. The first tenth of the time does not count.
fn run<C>(load: &Load, connect: impl Fn() -> Result<C> + Sync, ask: impl Fn(&mut C) -> Result<()> + Sync) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let warm_up = Duration::from_millis(load.seconds * 100);
    let begun = Instant::now();
    let all = std::thread::scope(|scope| -> Result<Vec<f64>> {
        let one = || -> Result<Vec<f64>, String> {
            let mut connection = connect().map_err(|error| error.to_string())?;
            let mut waits = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                ask(&mut connection).map_err(|error| error.to_string())?;
                if begun.elapsed() > warm_up {
                    waits.push(asked.elapsed().as_secs_f64());
                }
            }
            Ok(waits)
        };
        let threads: Vec<_> = (0..load.connections).map(|_| scope.spawn(one)).collect();
        std::thread::park_timeout(Duration::from_secs(load.seconds));
        stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(all)
    })?;
    report(load, all, (begun.elapsed() - warm_up).as_secs_f64());
    Ok(())
}

fn lines(input: &Path, rows: usize) -> Result<Vec<String>> {
    let lines = BufReader::new(std::fs::File::open(input)?).lines().take(rows).collect::<std::io::Result<Vec<_>>>()?;
    if lines.len() < rows { Err(format!("{} has fewer than {rows} rows", input.display()).into()) } else { Ok(lines) }
}

/// Posts to `http://host:port/path`, in the form of the REST proxy or as JSON lines.
pub fn post(load: &Load, url: &str, input: &Path) -> Result<()> {
    let rest = url.strip_prefix("http://").ok_or("the URL begins with http://")?;
    let (host, path) = rest.split_once('/').ok_or("the URL has a path")?;
    let rows = lines(input, load.rows)?;
    let (content_type, body) = match path.contains("ingest/") {
        true => ("application/x-ndjson", rows.join("\n")),
        false => {
            let records: Vec<String> = rows.iter().map(|row| format!("{{\"value\":{row}}}")).collect();
            ("application/vnd.kafka.json.v2+json", format!("{{\"records\":[{}]}}", records.join(",")))
        }
    };
    let length = body.len();
    let request =
        format!("POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}");
    let connect = || -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    };
    run(load, connect, |connection| answered(connection, request.as_bytes()))
}

fn answered(connection: &mut BufReader<TcpStream>, request: &[u8]) -> Result<()> {
    connection.get_mut().write_all(request)?;
    let (mut line, mut length, mut status) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if connection.read_line(&mut line)? == 0 {
            return Err("the connection was closed".into());
        }
        if status.is_empty() {
            status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    if status == "200" { Ok(()) } else { Err(format!("status {status}: {}", String::from_utf8_lossy(&body)).into()) }
}

struct Deliveries;

impl rdkafka::ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sender<Option<RDKafkaErrorCode>>>;

    fn delivery(&self, result: &DeliveryResult<'_>, done: Self::DeliveryOpaque) {
        let _ = done.send(result.as_ref().err().and_then(|(error, _)| error.rdkafka_error_code()));
    }
}

/// The equal producer: as many threads, each of which sends as many rows and waits until all replicas have them.
pub fn produce(load: &Load, topic: &super::kafka::Topic, input: &Path) -> Result<()> {
    let rows = lines(input, load.rows)?;
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &topic.brokers).set("acks", "all").set("enable.idempotence", "true").set("linger.ms", "1");
    let producer: ThreadedProducer<Deliveries> = client.create_with_context(Deliveries)?;
    let ask = |_: &mut ()| -> Result<()> {
        let mut waiting: Vec<Receiver<Option<RDKafkaErrorCode>>> = Vec::with_capacity(rows.len());
        for row in &rows {
            let (sender, receiver) = channel();
            let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(&topic.topic, Box::new(sender)).payload(row.as_bytes());
            while let Err((error, again)) = producer.send(record) {
                if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
                    return Err(error.into());
                }
                std::thread::park_timeout(Duration::from_millis(1));
                record = again;
            }
            waiting.push(receiver);
        }
        for receiver in waiting {
            if let Some(code) = receiver.recv_timeout(PATIENCE)? {
                return Err(code.to_string().into());
            }
        }
        Ok(())
    };
    run(load, || Ok(()), ask)
}
