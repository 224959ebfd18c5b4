//! Examines the topics of a sink.

use std::collections::BTreeMap;

use wasmill_engine::{Error, Result};

use super::config::KafkaSinkConfig;
use super::target::Target;
use super::tokens::Tokens;
use crate::cluster::{Cluster, Topic};
use crate::codes::ACCESS_DENIED;
use crate::config::KafkaConfig;
use wasmill_connect::examine::Finding;

/// The findings on the topic of the rows and on that of the token.
pub(crate) fn topic_findings(
    config: &KafkaSinkConfig,
    reading: &KafkaConfig,
    cluster: &Cluster,
    topics: &BTreeMap<String, Topic>,
) -> Result<Vec<Finding>> {
    let target = Target::query(config, cluster)?;
    let commits = Tokens { topic: &config.commits_topic, config: reading, cluster };
    let is_present = commits.is_present().map_err(|failure| failure.error)?;
    let refused = [&config.topic, &config.commits_topic].into_iter().find(|name| topics.get(*name).is_some_and(|topic| !topic.may_write));
    if let Some(topic) = refused {
        return Err(Error::environment(format!("the topic {topic} must not be written by us"))
            .code(ACCESS_DENIED)
            .hint("the principal needs WRITE and DESCRIBE on both topics, and on its transactional id"));
    }
    let (topic, partitions) = (&config.topic, if target.partitions == 1 { "partition" } else { "partitions" });
    let rows =
        format!("the topic {topic} can be written: {} {partitions}, records of at most {} bytes", target.partitions, target.max_record);
    let token = match is_present {
        true => format!("the topic {} of the token is there, compacted", config.commits_topic),
        false => format!("the topic {} of the token does not exist; the first commit creates it", config.commits_topic),
    };
    Ok(vec![Finding::good(rows), Finding::good(token)])
}
