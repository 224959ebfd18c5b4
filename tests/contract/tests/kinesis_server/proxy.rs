//! The proxy of all tests before the Kinesis server: it knows the operation of a request, and the records of a `PutRecords`.

#[path = "../../../../tests/proxy/mod.rs"]
mod shared;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shared::Action;

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

impl Fate {
    fn action(self, body: &[u8]) -> Action {
        match self {
            Self::Pass => Action::Pass,
            Self::Lose => Action::Lose,
            Self::Refuse(status, name) => Action::AnswerJson(status, name),
            Self::Cut(bytes) => Action::Cut(bytes),
            Self::FailRecords(places) => {
                let body = without(body, &places).unwrap();
                Action::Change(body, Arc::new(move |answer| with_failures(answer, &places)))
            }
        }
    }
}

/// Passes requests on until the test ends, each over a connection of its own.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    proxy: shared::Proxy,
    touched: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy before the server of the tests that touches nothing.
    pub fn start() -> Self {
        let server = super::address().strip_prefix("http://").unwrap().parse().unwrap();
        let proxy = shared::Proxy::before_http(server);
        Self { address: proxy.url(), proxy, touched: Arc::default() }
    }

    /// Decides by a rule from now on. It gets the name of the operation and the body.
    pub fn rule(&self, mut rule: impl FnMut(&str, &[u8]) -> Fate + Send + 'static) {
        let touched = Arc::clone(&self.touched);
        self.proxy.rule_with_body(move |head, body| {
            let target = head.lines().find(|line| line.to_ascii_lowercase().starts_with("x-amz-target:")).unwrap_or_default();
            let fate = rule(target.rsplit('.').next().unwrap_or_default().trim(), body);
            touched.fetch_add(usize::from(!matches!(fate, Fate::Pass)), Ordering::SeqCst);
            fate.action(body)
        });
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
