//! A proxy before the store that passes a request on and loses its answer, or keeps it back until its client has ended.

#[path = "../../../../tests/proxy/mod.rs"]
mod shared;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use shared::Action;

/// Passes requests on until the test ends, each over a connection of its own.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    store: String,
    kept: Arc<Mutex<Option<String>>>,
    proxy: shared::Proxy,
}

impl Proxy {
    /// A proxy before the store of the tests that loses nothing.
    pub fn start() -> Self {
        let store = super::config().endpoint.unwrap().strip_prefix("http://").unwrap().to_owned();
        let proxy = shared::Proxy::before_http(store.parse().unwrap());
        Self { address: proxy.url(), store, kept: Arc::default(), proxy }
    }

    /// Keeps the next request without a body whose head has all of these texts. For its client it was refused: it ends, as a process does that is killed
    /// while its request is on its way.
    pub fn keep(&self, texts: &'static [&'static str]) {
        let kept = Arc::clone(&self.kept);
        self.proxy.rule(move |head| {
            let mut kept = kept.lock().unwrap();
            if kept.is_some() || !texts.iter().all(|text| head.contains(text)) {
                return Action::Pass;
            }
            *kept = Some(head.to_owned());
            Action::Answer(403, "AccessDenied")
        });
    }

    /// The store gets the request that was kept. Returns the first line of its answer.
    pub fn deliver(&self) -> String {
        let head = self.kept.lock().unwrap().take().expect("a request that was kept");
        let (line, rest) = head.split_once("\r\n").unwrap();
        let mut store = TcpStream::connect(&self.store).unwrap();
        store.write_all(format!("{line}\r\nConnection: close\r\n{rest}").as_bytes()).unwrap();
        let mut answer = String::new();
        store.read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// Answers the next `times` requests whose head has all of these texts in the store's place.
    pub fn refuse(&self, texts: &'static [&'static str], times: usize, code: &'static str) {
        self.proxy.next(texts, times, Action::Answer(403, code));
    }

    /// Loses the answers to the next `times` requests whose head has all of these texts.
    pub fn lose(&self, texts: &'static [&'static str], times: usize) {
        self.proxy.next(texts, times, Action::Lose);
    }

    /// How many answers have been lost.
    pub fn lost(&self) -> usize {
        self.proxy.lost()
    }
}
