//! Consumer instances: created by one request and used by later ones, until they are deleted or forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::destination::{Consumer, Refusal, RefusalKind};

/// An instance that nobody has used for so long is deleted.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// This many instances at a time.
const MOST: usize = 256;

/// By group and name. A place is reserved while its consumer is created.
type Places = HashMap<(String, String), Option<Instance>>;

/// The instances of one route.
#[derive(Default)]
pub(crate) struct Instances(Mutex<Places>);

/// One consumer.
#[derive(Clone)]
pub(crate) struct Instance(Arc<Shared>);

struct Shared {
    consumer: Arc<dyn Consumer>,
    is_json: bool,
    /// Calls are made one at a time.
    turn: tokio::sync::Mutex<()>,
    used: Mutex<Instant>,
}

/// Why there is no new instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewInstance {
    Exists,
    TooMany,
}

/// The place of an instance whose consumer is being created. Dropped unfilled, it is free again.
pub(crate) struct Reserved {
    instances: Arc<Instances>,
    place: Option<(String, String)>,
}

impl Instances {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn reserve(self: &Arc<Self>, group: &str, name: Option<String>) -> Result<Reserved, NewInstance> {
        let name = name.unwrap_or_else(|| format!("rest-consumer-{}", Uuid::new_v4()));
        let place = (group.to_owned(), name);
        let (forgotten, reserved) = {
            let mut all = self.0.lock();
            let forgotten = take_forgotten(&mut all);
            let reserved = match () {
                () if all.contains_key(&place) => Err(NewInstance::Exists),
                () if all.len() >= MOST => Err(NewInstance::TooMany),
                () => {
                    all.insert(place.clone(), None);
                    Ok(())
                }
            };
            (forgotten, reserved)
        };
        close(forgotten);
        reserved.map(|()| Reserved { instances: Arc::clone(self), place: Some(place) })
    }

    pub(crate) fn find(&self, group: &str, name: &str) -> Option<Instance> {
        let found = self.0.lock().get(&(group.to_owned(), name.to_owned())).cloned().flatten()?;
        *found.0.used.lock() = Instant::now();
        Some(found)
    }

    /// Deletes an instance; false if there is none.
    pub(crate) fn remove(&self, group: &str, name: &str) -> bool {
        let place = (group.to_owned(), name.to_owned());
        let mut all = self.0.lock();
        // What is being created is not there yet.
        if all.get(&place).is_none_or(Option::is_none) {
            return false;
        }
        let removed = all.remove(&place).flatten();
        drop(all);
        close(removed.into_iter().collect());
        true
    }
}

fn take_forgotten(all: &mut Places) -> Vec<Instance> {
    let is_forgotten = |instance: &Option<Instance>| instance.as_ref().is_some_and(|one| one.0.used.lock().elapsed() > FORGOTTEN_AFTER);
    let places: Vec<_> = all.iter().filter(|(_, instance)| is_forgotten(instance)).map(|(place, _)| place.clone()).collect();
    places.iter().filter_map(|place| all.remove(place).flatten()).collect()
}

/// Consumers leave their groups when they are dropped, which may wait for brokers.
fn close(instances: Vec<Instance>) {
    if !instances.is_empty() {
        drop(tokio::task::spawn_blocking(move || drop(instances)));
    }
}

impl Reserved {
    /// Puts the consumer into its place; returns its name.
    pub(crate) fn fill(mut self, consumer: Arc<dyn Consumer>, is_json: bool) -> String {
        let shared = Shared { consumer, is_json, turn: tokio::sync::Mutex::default(), used: Mutex::new(Instant::now()) };
        let Some(place) = self.place.take() else { return String::new() };
        let name = place.1.clone();
        self.instances.0.lock().insert(place, Some(Instance(Arc::new(shared))));
        name
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.instances.0.lock().remove(&place);
        }
    }
}

impl Instance {
    /// Whether keys and values are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.0.is_json
    }

    /// Calls the consumer where it may block, when it is its turn.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Consumer) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let _turn = self.0.turn.lock().await;
        let consumer = Arc::clone(&self.0.consumer);
        let called = tokio::task::spawn_blocking(move || call(&*consumer)).await;
        *self.0.used.lock() = Instant::now();
        called.unwrap_or_else(|error| Err(Refusal::new(RefusalKind::Failed, format!("the consumer failed: {error}"))))
    }
}
