//! `wasmill topics list|describe|create|delete`.

use std::any::Any;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use kafka::topics::{Described, Listed, Topics, Wanted};
use kafka::{KafkaConfig, KafkaConnection, KafkaSinkConfig};
use wasmill_engine::{Error, Result};

use super::PipelineArguments;
use super::checked::{check_or_exit, fail};
use super::codes::{DESTROYS, NOT_IN_PIPELINE};
use crate::check::Checked;
use crate::document::Redactor;

/// Lists, describes, creates and deletes topics of Apache Kafka
#[derive(Debug, Args)]
pub struct TopicsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the topics
    #[command(after_help = "Examples:\n  \
        wasmill topics list --brokers b1:9092\n  \
        wasmill topics list --pipeline pipelines/kafka-to-delta.yaml")]
    List {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// Lists Kafka's internal topics too
        #[arg(long)]
        internal: bool,
    },
    /// Displays the partitions of a topic, and the part of its configuration that is not the
    /// default
    #[command(after_help = "Example:\n  wasmill topics describe pin --brokers b1:9092")]
    Describe {
        /// The topic
        topic: String,
        #[command(flatten)]
        cluster: ClusterArguments,
    },
    /// Creates a topic
    #[command(after_help = "Examples:\n  \
        wasmill topics create pin --brokers b1:9092 --partitions 6 --replicas 3\n  \
        wasmill topics create clean_pins --pipeline pipeline.yaml --node pin_topic --config cleanup.policy=compact")]
    Create {
        /// The topic
        topic: String,
        #[command(flatten)]
        cluster: ClusterArguments,
        /// How many partitions; by default the brokers' default
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=100_000))]
        partitions: Option<i32>,
        /// How many replicas each partition has; by default the brokers' default
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1_000))]
        replicas: Option<i32>,
        /// A value of the topic's configuration. May be given more than once
        #[arg(long = "config", value_name = "NAME=VALUE", value_parser = pair)]
        config: Vec<(String, String)>,
    },
    /// Deletes a topic with all of its records
    #[command(after_help = "Example:\n  wasmill topics delete pin --brokers b1:9092 --yes")]
    Delete {
        /// The topic
        topic: String,
        #[command(flatten)]
        cluster: ClusterArguments,
        /// Confirms it: nothing brings the records back
        #[arg(long)]
        yes: bool,
    },
}

/// Which brokers, and how to get in.
#[derive(Debug, Args)]
struct ClusterArguments {
    /// Some brokers, host:port, separated by commas; without encryption and passwords
    #[arg(long, value_name = "BROKERS", required_unless_present = "pipeline", conflicts_with = "pipeline")]
    brokers: Option<String>,
    /// A pipeline file: brokers and security are those of a source or sink `kafka` in it
    #[arg(long, value_name = "PIPELINE", value_hint = clap::ValueHint::FilePath)]
    pipeline: Option<PathBuf>,
    /// Which source or sink of the pipeline; by default the first one of Kafka
    #[arg(long, value_name = "NAME", requires = "pipeline")]
    node: Option<String>,
}

// The command line prints this message behind the option's name.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl TopicsCommand {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        let cluster = match &self.action {
            Action::List { cluster, .. }
            | Action::Describe { cluster, .. }
            | Action::Create { cluster, .. }
            | Action::Delete { cluster, .. } => cluster,
        };
        let (config, redactor) = match cluster.config() {
            Ok(found) => found,
            Err(status) => return status,
        };
        match config.and_then(|config| self.act(&config)) {
            Ok(text) => super::print(&redactor.clean(&text)),
            Err(error) => fail(&error, &redactor, false),
        }
    }

    fn act(&self, config: &KafkaConfig) -> Result<String> {
        if let Action::Delete { topic, yes: false, .. } = &self.action {
            return Err(Error::configuration(format!("the topic {topic} and all of its records would be permanently deleted"))
                .code(DESTROYS)
                .hint("confirm with `--yes`"));
        }
        let topics = Topics::connect(config)?;
        match &self.action {
            Action::List { internal, .. } => Ok(list(&topics.list()?, *internal)),
            Action::Describe { topic, .. } => Ok(describe(topic, &topics.describe(topic)?)),
            Action::Create { topic, partitions, replicas, config, .. } => {
                let wanted = Wanted { partitions: *partitions, replicas: *replicas, config: config.clone() };
                topics.create(topic, &wanted).map(|()| format!("the topic {topic} is created\n"))
            }
            Action::Delete { topic, .. } => topics.delete(topic).map(|()| format!("the topic {topic} is removed\n")),
        }
    }
}

impl ClusterArguments {
    /// The configuration of a source of these brokers, and what must not be shown of it.
    fn config(&self) -> Result<(Result<KafkaConfig>, Redactor), u8> {
        let Some(path) = &self.pipeline else {
            crate::logging::install(Redactor::default());
            let brokers = self.brokers.clone().unwrap_or_default();
            return Ok((
                Ok(KafkaConfig { connection: KafkaConnection::of_brokers(brokers), ..KafkaConfig::default() }),
                Redactor::default(),
            ));
        };
        let arguments = PipelineArguments::of(path.clone());
        let checked = check_or_exit(&arguments)?;
        let redactor = checked.redactor.clone();
        Ok((self.of(&checked), redactor))
    }

    fn of(&self, checked: &Checked) -> Result<KafkaConfig> {
        let of_sink = |sink: &KafkaSinkConfig| KafkaConfig {
            connection: sink.connection.clone(),
            client: sink.client.clone(),
            ..KafkaConfig::default()
        };
        let sources = checked.sources.iter().filter_map(|source| {
            let config = (&*source.connector as &dyn Any).downcast_ref::<KafkaConfig>()?;
            Some((source.name.to_string(), config.clone()))
        });
        let sinks = checked.sinks.iter().map(|sink| (&*sink.name, &sink.connector));
        let sinks = sinks.chain(checked.dead_letters.iter().map(|connector| ("dead_letters", connector)));
        let sinks = sinks.filter_map(|(name, connector)| {
            let config = (&**connector as &dyn Any).downcast_ref::<KafkaSinkConfig>()?;
            Some((name.to_owned(), of_sink(config)))
        });
        let found: Vec<(String, KafkaConfig)> = sources.chain(sinks).collect();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let chosen = match &self.node {
            None => found.first(),
            Some(node) => found.iter().find(|(name, _)| name == node),
        };
        chosen.map(|(_, config)| config.clone()).ok_or_else(|| match &self.node {
            None => Error::configuration(format!("the pipeline `{}` has no source or sink of Kafka", checked.name)).code(NOT_IN_PIPELINE),
            Some(node) => Error::configuration(format!("`{node}` is not a source or sink of Kafka in the pipeline `{}`", checked.name))
                .code(NOT_IN_PIPELINE)
                .hint(format!("there are: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })),
        })
    }
}

fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(heads.iter().copied());
    table
}

fn number(value: impl ToString) -> Cell {
    Cell::new(value.to_string()).set_alignment(CellAlignment::Right)
}

fn list(topics: &[Listed], internal: bool) -> String {
    let mut table = table(&["topic", "partitions", "replicas"]);
    let shown: Vec<&Listed> = topics.iter().filter(|topic| internal || !topic.is_internal).collect();
    for topic in &shown {
        table.add_row([Cell::new(&topic.name), number(topic.partitions), number(topic.replicas)]);
    }
    if shown.is_empty() { "no topics\n".to_owned() } else { format!("{table}\n") }
}

fn describe(name: &str, topic: &Described) -> String {
    let mut text = format!("{name}: {} partitions, id {}\n", topic.partitions.len(), topic.id);
    for (name, value) in &topic.config {
        let _ = writeln!(text, "  {name}={value}");
    }
    let mut table = table(&["partition", "leader", "replicas", "in sync", "first offset", "next offset"]);
    let all = |brokers: &[i32]| brokers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for partition in &topic.partitions {
        let leader = partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string());
        let (first, next) = partition.offsets;
        table.add_row([
            number(partition.number),
            number(leader),
            Cell::new(all(&partition.replicas)),
            Cell::new(all(&partition.in_sync)),
            number(first),
            number(next),
        ]);
    }
    let _ = writeln!(text, "{table}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_a_pair() {
        assert_eq!(pair("cleanup.policy=compact").unwrap(), ("cleanup.policy".into(), "compact".into()));
        assert_eq!(pair("a=b=c").unwrap().1, "b=c");
        assert!(pair("a").is_err() && pair("=a").is_err());
    }
}
