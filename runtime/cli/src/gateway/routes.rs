//! The routes of a gateway, with what lies behind them. Nothing is contacted.

use std::sync::Arc;

use wasmill_engine::{Error, Result};
use wasmill_gateway::codes::ROUTE;
use wasmill_gateway::{Destination, Ingest, KafkaRest, KinesisApi, Protocol, Route, RouteOptions};

use super::spec::{DestinationSpec, GatewaySpec, ProtocolSpec, RouteSpec};

/// Builds all routes; what is wrong is returned with the name of its route.
///
/// # Errors
/// Configuration: options that can't be used, or a destination that does not fit to a protocol.
pub fn routes(spec: &GatewaySpec) -> Result<Vec<Route>, Vec<(String, Error)>> {
    let built: Vec<(&String, Result<Route>)> = spec.routes.iter().map(|(name, route)| (name, build(&spec.gateway, name, route))).collect();
    let (mut routes, mut errors) = (Vec::new(), Vec::new());
    for (name, route) in built {
        match route {
            Ok(route) => routes.push(route),
            Err(error) => errors.push((name.clone(), error)),
        }
    }
    if errors.is_empty() { Ok(routes) } else { Err(errors) }
}

fn build(gateway: &str, name: &str, spec: &RouteSpec) -> Result<Route> {
    if spec.into.is_some() && spec.protocol != ProtocolSpec::Ingest {
        return Err(Error::configuration(format!("`{name}`: `into` belongs to `protocol: ingest`"))
            .code(ROUTE)
            .key(["into"])
            .hint("with the other protocols, each request names its topic or stream"));
    }
    if spec.rate == Some(0) {
        return Err(Error::configuration(format!("`{name}`: `rate` must be 1 or more")).code(ROUTE).key(["rate"]));
    }
    let destination = destination(gateway, name, &spec.to).map_err(|error| error.below("to"))?;
    if spec.protocol == ProtocolSpec::KafkaRest && destination.kind() == "kinesis" {
        return Err(Error::configuration(format!("`{name}`: the REST proxy answers with offsets, and Kinesis has none"))
            .code(ROUTE)
            .key(["to"])
            .hint("use `protocol: kinesis_api` or `protocol: ingest` for Kinesis"));
    }
    let protocol = match spec.protocol {
        ProtocolSpec::KafkaRest => Protocol::KafkaRest(KafkaRest::new(destination)),
        ProtocolSpec::KinesisApi => Protocol::KinesisApi(KinesisApi::new(destination)),
        ProtocolSpec::Ingest => {
            let into = spec.into.clone().unwrap_or_else(|| name.to_owned());
            Protocol::Ingest(Ingest::new(destination, vec![(name.to_owned(), into)]))
        }
    };
    let max_body = spec.max_body.map(|size| usize::try_from(size.as_u64()).unwrap_or(usize::MAX));
    Route::new(name, protocol, &RouteOptions { prefix: spec.prefix.clone(), auth: spec.auth.clone(), rate: spec.rate, max_body })
}

fn destination(gateway: &str, name: &str, spec: &DestinationSpec) -> Result<Arc<dyn Destination>> {
    let mut found: Vec<Arc<dyn Destination>> = Vec::new();
    #[cfg(feature = "kafka")]
    if let Some(kafka) = &spec.kafka {
        let built = super::kafka::KafkaTopics::new(&format!("{gateway}-{name}"), kafka).map_err(|error| error.below("kafka"))?;
        found.push(Arc::new(built));
    }
    #[cfg(feature = "kinesis")]
    if let Some(kinesis) = &spec.kinesis {
        found.push(Arc::new(super::kinesis::KinesisStreams::new(kinesis).map_err(|error| error.below("kinesis"))?));
    }
    let count = found.len();
    found.pop().filter(|_| count == 1).ok_or_else(|| {
        let _ = gateway;
        Error::configuration(format!("`{name}`: `to` has {count} destinations, and needs one"))
            .code(ROUTE)
            .hint("for example: to: { kafka: { connection: { brokers: \"b1:9092\" } } }")
    })
}
