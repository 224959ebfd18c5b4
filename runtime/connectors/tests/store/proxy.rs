//! A proxy before the store that passes a request on, and loses its answer.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Whether the answer to a request is lost; it gets the request's first line.
type Rule = Box<dyn FnMut(&str) -> bool + Send>;

/// Passes requests on until the test ends, each over a connection of its own.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    rule: Arc<Mutex<Rule>>,
    lost: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy before the store of the tests that loses nothing.
    pub fn start() -> Self {
        let store = super::config().endpoint.unwrap();
        let target = store.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (rule, lost): (Arc<Mutex<Rule>>, _) = (Arc::new(Mutex::new(Box::new(|_: &str| false))), Arc::new(AtomicUsize::new(0)));
        let proxy = Self { address, rule: Arc::clone(&rule), lost: Arc::clone(&lost) };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), target, rule, lost) = (client, target.clone(), Arc::clone(&rule), Arc::clone(&lost)) else { continue };
                std::thread::spawn(move || pass(client, &target, &rule, &lost));
            }
        });
        proxy
    }

    /// Loses the answers to the next `times` requests whose first line has all of these texts.
    pub fn lose(&self, texts: &'static [&'static str], mut times: usize) {
        *self.rule.lock().unwrap() = Box::new(move |line| {
            let hit = times > 0 && texts.iter().all(|text| line.contains(text));
            times -= usize::from(hit);
            hit
        });
    }

    /// How many answers have been lost.
    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

/// One request: to the store, and its answer back or nowhere.
fn pass(mut client: TcpStream, target: &str, rule: &Mutex<Rule>, lost: &AtomicUsize) -> Option<()> {
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
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    while request.len() < end + length.unwrap_or(0) {
        match client.read(&mut buffer).ok()? {
            0 => return None,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let mut store = TcpStream::connect(target).ok()?;
    // The store ends the connection with its answer, which then needs no framing here.
    let (line, rest) = head.split_once("\r\n")?;
    store.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes()).ok()?;
    store.write_all(&request[end..]).ok()?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer).ok()?;
    if (rule.lock().unwrap())(line) {
        let done = line.starts_with("GET ") || answer.starts_with(b"HTTP/1.1 2");
        assert!(done, "only what was done may be lost: {}", String::from_utf8_lossy(&answer));
        lost.fetch_add(1, Ordering::SeqCst);
        return None;
    }
    client.write_all(&answer).ok()
}
