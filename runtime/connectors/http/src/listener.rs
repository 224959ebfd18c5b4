//! Listeners of this process, which sources of a pipeline share by their addresses.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use wasmill_engine::{Error, Result};
use wasmill_gateway::{Destination, Ingest, KafkaRest, KinesisApi, Protocol, Route, Server, ServerConfig};

use crate::codes::{LISTENERS_DIFFER, NAME};
use crate::config::HttpConfig;
use crate::intake::Intake;
use crate::log::Log;

/// By the text of `listen`.
static LISTENERS: LazyLock<Mutex<HashMap<String, Listener>>> = LazyLock::new(Mutex::default);

struct Listener {
    server: Server,
    /// What all sources at it have in common.
    config: HttpConfig,
    intake: Arc<Intake>,
}

/// A source's part of a listener. Dropping it removes its names, and the last one stops the server.
pub(crate) struct Joined {
    listen: String,
    names: Vec<String>,
    url: String,
}

/// The part of a configuration that sources at one address must have in common.
fn common(config: &HttpConfig) -> HttpConfig {
    HttpConfig {
        server: config.server.clone(),
        prefix: config.prefix.clone(),
        auth: config.auth.clone(),
        rate: config.rate,
        ..HttpConfig::at("")
    }
}

impl Joined {
    /// Listens for the requests of a source from now on.
    pub(crate) fn join(config: &HttpConfig, source: &str, log: Arc<Log>) -> Result<Self> {
        let (listen, names, shared) = (config.server.listen.clone(), config.names_of(source), common(config));
        let mut listeners = LISTENERS.lock();
        let address = match listeners.get(&listen) {
            Some(listener) if listener.config != shared => {
                return Err(Error::configuration(format!("another source listens at {listen} with another configuration"))
                    .code(LISTENERS_DIFFER)
                    .hint("write the same `server`, `prefix`, `auth` and `rate` into both, or give each its own port"));
            }
            Some(listener) => {
                listener.intake.add(&names, &log).map_err(|name| taken(&name, &listen))?;
                listener.server.address()
            }
            None => {
                let intake = Arc::new(Intake::default());
                intake.add(&names, &log).map_err(|name| taken(&name, &listen))?;
                let server = start(source, config, &intake).map_err(|error| error.below("server"))?;
                let address = server.address();
                listeners.insert(listen.clone(), Listener { server, config: shared, intake });
                address
            }
        };
        let url = ServerConfig { listen: address.to_string(), ..config.server.clone() }.url()?;
        tracing::info!("{source} listens at {url}");
        Ok(Self { listen, names, url })
    }

    /// The URL of the server.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let mut listeners = LISTENERS.lock();
        let is_last = listeners.get(&self.listen).is_some_and(|listener| !listener.intake.has_others(&self.names));
        if !is_last {
            if let Some(listener) = listeners.get(&self.listen) {
                listener.intake.remove(&self.names);
            }
            return;
        }
        let last = listeners.remove(&self.listen);
        drop(listeners);
        if let Some(listener) = last {
            // Requests under way are still answered: their names stay until then.
            listener.server.stop();
        }
    }
}

fn start(source: &str, config: &HttpConfig, intake: &Arc<Intake>) -> Result<Server> {
    let destination = || Arc::clone(intake) as Arc<dyn Destination>;
    let options = config.options();
    let routes = vec![
        Route::new("ingest", Protocol::Ingest(Ingest::of_all(destination())), &options)?,
        Route::new("kafka_rest", Protocol::KafkaRest(KafkaRest::new(destination())), &options)?,
        Route::new("kinesis_api", Protocol::KinesisApi(KinesisApi::new(destination())), &options)?,
    ];
    Server::start(source, &config.server, routes)
}

fn taken(name: &str, listen: &str) -> Error {
    Error::configuration(format!("two sources at {listen} have the name {name:?}"))
        .code(NAME)
        .key(["names"])
        .hint("each name belongs to one source")
}
