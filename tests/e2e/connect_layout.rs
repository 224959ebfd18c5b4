//! Objects as Kafka Connect's S3 sink leaves them: `topics/<topic>/partition=<n>/<topic>+<n>+<offset>.json`, a value a line.

use crate::support::{Store, Workshop};

/// Puts the values of each partition below `topics/` of the store, so many to an object at most, as the bytes that they are.
pub fn put_raw(store: &Store, workshop: &Workshop, topic: &str, partitions: &[Vec<String>], flush_size: usize) {
    let mut objects = Vec::new();
    for (partition, values) in partitions.iter().enumerate() {
        for (index, chunk) in values.chunks(flush_size).enumerate() {
            let name = format!("{topic}+{partition}+{:010}.json", index * flush_size);
            let text: String = chunk.iter().map(|value| format!("{value}\n")).collect();
            let path = workshop.write(&format!("objects/{name}"), &text);
            objects.push((path, format!("topics/{topic}/partition={partition}/{name}")));
        }
    }
    store.put(&objects);
}

/// Deals values to partitions in turn.
pub fn deal(values: &[String], partitions: usize) -> Vec<Vec<String>> {
    let mut dealt = vec![Vec::new(); partitions];
    values.iter().enumerate().for_each(|(index, value)| dealt[index % partitions].push(value.clone()));
    dealt
}
