//! A proxy before the store that passes a request on, and loses its answer.

#[path = "../../../../tests/proxy/mod.rs"]
mod shared;

use shared::Action;

/// Passes requests on until the test ends, each over a connection of its own.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    proxy: shared::Proxy,
}

impl Proxy {
    /// A proxy before the store of the tests that loses nothing.
    pub fn start() -> Self {
        let store = super::config().endpoint.unwrap();
        let proxy = shared::Proxy::before_http(store.strip_prefix("http://").unwrap().parse().unwrap());
        Self { address: proxy.url(), proxy }
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
