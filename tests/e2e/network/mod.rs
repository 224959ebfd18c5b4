//! Pairs of the matrix with a proxy before every server: slow, cut, refused, with errors and without answers; in the end every post is in the table or
//! in the dead letters, once.

mod credentials;
mod outage;
mod slow;
mod store;
mod storm;

use std::net::SocketAddr;
use std::process::Command;

use crate::kafka_broker::variable;
use crate::proxy::Proxy;

/// A proxy before each of the shared servers.
struct Proxies {
    s3: Proxy,
    postgres: Proxy,
    kafka: Proxy,
}

impl Proxies {
    fn new() -> Self {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap_or_else(|error| panic!("{text}: {error}"));
        let brokers = address(&variable("WASMILL_TEST_KAFKA"));
        let postgres = variable("WASMILL_TEST_POSTGRES");
        let proxies = Self {
            s3: Proxy::before_http(address(variable("WASMILL_TEST_S3").strip_prefix("http://").unwrap())),
            postgres: Proxy::before(address(postgres.split('@').nth(1).unwrap().split('/').next().unwrap())),
            kafka: Proxy::before(brokers),
        };
        // A broker tells its clients where it is, as a host and a port of four bytes.
        let told = |address: SocketAddr| [address.ip().to_string().as_bytes(), &u32::from(address.port()).to_be_bytes()].concat();
        proxies.kafka.replace(&told(brokers), &told(proxies.kafka.address()));
        proxies
    }

    fn all(&self) -> [&Proxy; 3] {
        [&self.s3, &self.postgres, &self.kafka]
    }

    /// Leads a process through the proxies.
    fn lead(&self, mut command: Command) -> Command {
        let database = command.get_envs().find(|(name, _)| *name == "PG_URL").and_then(|(_, url)| url?.to_str().map(str::to_owned));
        if let Some(url) = database {
            let (user, rest) = url.split_once('@').unwrap();
            let (_, name) = rest.split_once('/').unwrap();
            // In plain bytes, so that cuts fall anywhere.
            command.env("PG_URL", format!("{user}@{}/{name}?sslmode=disable", self.postgres.address()));
        }
        command.env("WASMILL_TEST_S3", self.s3.url()).env("AWS_ENDPOINT_URL_S3", self.s3.url());
        command.env("WASMILL_TEST_KAFKA", self.kafka.address().to_string());
        command
    }
}
