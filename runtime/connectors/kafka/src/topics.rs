//! Topics, for the command line: listed, described, created, deleted.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use wasmill_connect::Retry;
use wasmill_engine::{Error, Result};

use super::admin::{self, NewTopic, Refusal};
use super::client::{self, Health, options};
use super::cluster::{Cluster, Place};
use super::config::{KafkaConfig, is_topic};
use super::token::Tokens;
use crate::codes::{ACCESS_DENIED, REQUEST_FAILED, TOPIC_CONFIG, TOPIC_EXISTS, TOPIC_MISSING, TOPIC_NAME};

/// How long the brokers may take for one order.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The topics of a cluster.
pub struct Topics {
    cluster: Cluster,
    brokers: String,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// On how many brokers each of them is, at least.
    pub replicas: usize,
    /// Kafka keeps something of its own there.
    pub is_internal: bool,
}

/// A topic in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its id, which another topic of the same name does not have; empty where the brokers give none.
    pub id: String,
    /// Its partitions, in order.
    pub partitions: Vec<Partition>,
    /// What of its configuration is not the default, by name.
    pub config: Vec<(String, String)>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub number: i32,
    /// The broker that takes its records; none while it has none.
    pub leader: Option<i32>,
    /// The brokers that have it.
    pub replicas: Vec<i32>,
    /// Those of them that keep up.
    pub in_sync: Vec<i32>,
    /// The offset of its oldest record, and that of the next one.
    pub offsets: (i64, i64),
}

/// A topic to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How many partitions; `None`: the brokers' default.
    pub partitions: Option<i32>,
    /// The replication factor; `None`: the brokers' default.
    pub replicas: Option<i32>,
    /// Its configuration, where that should not be the default.
    pub config: Vec<(String, String)>,
}

impl Topics {
    /// The topics of the cluster of a source's configuration; its `topics` do not matter.
    ///
    /// # Errors
    /// Configuration: brokers or options that can't be used.
    pub fn connect(config: &KafkaConfig) -> Result<Self> {
        let config = KafkaConfig { topics: Vec::new(), pattern: Some(".".to_owned()), retry: Retry::of("10s"), ..config.clone() };
        config.check()?;
        client::check(&options(&config, "topics"))?;
        let (health, tokens) = (Arc::new(Health::default()), Tokens::of(config.connection.security.as_ref()).map(Arc::new));
        let cluster = Cluster::start(&config, "topics", "wasmill-topics", &health, tokens.as_ref())?;
        Ok(Self { cluster, brokers: config.connection.brokers })
    }

    /// All topics, in the order of their names.
    ///
    /// # Errors
    /// Environment: the brokers can't be reached, or refuse the connection.
    pub fn list(&self) -> Result<Vec<Listed>> {
        // It waits, and reports why no broker responds.
        self.cluster.topics()?;
        let failed =
            |error| Error::environment(format!("the Kafka brokers {} do not list the topics: {error}", self.brokers)).code(REQUEST_FAILED);
        let metadata = self.cluster.client().consumer().fetch_metadata(None, REQUEST_TIMEOUT).map_err(failed)?;
        let mut topics: Vec<Listed> = metadata
            .topics()
            .iter()
            .map(|topic| Listed {
                name: topic.name().to_owned(),
                partitions: topic.partitions().len(),
                replicas: topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or_default(),
                is_internal: topic.name().starts_with("__"),
            })
            .collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// One topic in full.
    ///
    /// # Errors
    /// Environment: there is none of that name, or the brokers do not return it.
    pub fn describe(&self, name: &str) -> Result<Described> {
        let id = self.find(name)?;
        let failed = |error| Error::environment(format!("the brokers do not describe the topic {name}: {error}")).code(REQUEST_FAILED);
        let metadata = self.cluster.client().consumer().fetch_metadata(Some(name), REQUEST_TIMEOUT).map_err(failed)?;
        let partitions: Vec<_> = metadata.topics().iter().flat_map(|topic| topic.partitions()).collect();
        let places: Vec<Place> = partitions.iter().map(|partition| (name.to_owned(), partition.id())).collect();
        let (begins, ends) = (self.cluster.begins(&places)?, self.cluster.ends(&places)?);
        let offset =
            |all: &std::collections::HashMap<Place, i64>, number: i32| all.get(&(name.to_owned(), number)).copied().unwrap_or_default();
        let mut partitions: Vec<Partition> = partitions
            .iter()
            .map(|partition| Partition {
                number: partition.id(),
                leader: (partition.leader() >= 0).then(|| partition.leader()),
                replicas: partition.replicas().to_vec(),
                in_sync: partition.isr().to_vec(),
                offsets: (offset(&begins, partition.id()), offset(&ends, partition.id())),
            })
            .collect();
        partitions.sort_by_key(|partition| partition.number);
        let refused = |refusal: Refusal| self.refused("read the configuration of", name, &refusal);
        let entries = admin::configuration(self.cluster.client(), name, REQUEST_TIMEOUT)?.map_err(refused)?;
        let set = entries.into_iter().filter(|entry| entry.is_set);
        let mut config: Vec<(String, String)> =
            set.map(|entry| (entry.name, entry.value.unwrap_or_else(|| "(not shown)".to_owned()))).collect();
        config.sort();
        Ok(Described { id, partitions, config })
    }

    /// Creates a topic.
    ///
    /// # Errors
    /// Configuration: its name or configuration can't be used. Environment: it exists already, or
    /// the brokers refuse.
    pub fn create(&self, name: &str, wanted: &Wanted) -> Result<()> {
        if !is_topic(name) {
            return Err(Error::configuration(format!("{name:?} can't be the name of a topic"))
                .code(TOPIC_NAME)
                .hint("1 to 249 letters, digits, `.`, `_` and `-`"));
        }
        self.cluster.topics()?;
        let topic = NewTopic { name, partitions: wanted.partitions, replication: wanted.replicas, config: wanted.config.clone() };
        match admin::create(self.cluster.client(), &topic, REQUEST_TIMEOUT)? {
            Ok(()) => Ok(()),
            Err(refusal) => Err(match refusal.code {
                RDKafkaErrorCode::TopicAlreadyExists => Error::environment(format!("the topic {name} is there already"))
                    .code(TOPIC_EXISTS)
                    .hint(format!("`wasmill topics describe {name}` shows it")),
                RDKafkaErrorCode::InvalidConfig => {
                    Error::configuration(format!("the configuration of the topic {name} can't be used: {}", refusal.text))
                        .code(TOPIC_CONFIG)
                        .hint("the names are those of https://kafka.apache.org/documentation/#topicconfigs")
                }
                _ => self.refused("create", name, &refusal),
            }),
        }
    }

    /// Removes a topic with all of its records.
    ///
    /// # Errors
    /// Environment: there is none of that name, or the brokers refuse.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.find(name)?;
        admin::delete(self.cluster.client(), name, REQUEST_TIMEOUT)?.map_err(|refusal| self.refused("remove", name, &refusal))
    }

    /// The id of a topic.
    fn find(&self, name: &str) -> Result<String> {
        let missing = || {
            Error::environment(format!("there is no topic {name} on the brokers {}", self.brokers))
                .code(TOPIC_MISSING)
                .hint("`wasmill topics list` shows which there are")
        };
        // Internal topics are not among those of the pattern, and need not be.
        let known = self.cluster.topics()?;
        known.get(name).map(|topic| topic.id.clone()).ok_or_else(missing)
    }

    fn refused(&self, what: &str, name: &str, refusal: &Refusal) -> Error {
        let error = Error::environment(format!("the brokers {} do not {what} the topic {name}: {}", self.brokers, refusal.text))
            .code(REQUEST_FAILED);
        match refusal.code {
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => error
                .code(ACCESS_DENIED)
                .hint("the principal needs CREATE on the cluster, or CREATE, DELETE, DESCRIBE and DESCRIBE_CONFIGS on the topic"),
            RDKafkaErrorCode::InvalidReplicationFactor => error.hint("there are fewer brokers than `--replicas` asks for"),
            RDKafkaErrorCode::TopicDeletionDisabled => error.hint("the brokers have delete.topic.enable=false"),
            _ => error,
        }
    }
}
