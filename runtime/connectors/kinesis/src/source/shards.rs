//! Which shards may be read: those whose parents have been read to their end.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::Shard;

/// The shards of a stream, and how far they are.
#[derive(Debug, Default)]
pub(super) struct Shards {
    /// Those that the stream has now.
    listed: BTreeMap<String, Shard>,
    /// Read to their end, or to be left out.
    done: BTreeSet<String>,
    handed_out: BTreeSet<String>,
}

impl Shards {
    /// Takes over a list of shards.
    pub(super) fn list(&mut self, shards: Vec<Shard>) {
        self.listed = shards.into_iter().map(|shard| (shard.id.clone(), shard)).collect();
    }

    pub(super) fn get(&self, id: &str) -> Option<&Shard> {
        self.listed.get(id)
    }

    pub(super) fn is_done(&self, id: &str) -> bool {
        self.done.contains(id)
    }

    /// A shard has been read to its end, or is not to be read.
    pub(super) fn finish(&mut self, id: &str) {
        self.done.insert(id.to_owned());
    }

    /// Leaves out those that take no more records.
    pub(super) fn leave_out_closed(&mut self) {
        self.done.extend(self.listed.values().filter(|shard| shard.closed).map(|shard| shard.id.clone()));
    }

    /// Returns the shards that may be read now. Retention has removed a parent that the stream no
    /// longer lists.
    pub(super) fn hand_out(&mut self) -> Vec<Shard> {
        let read = |id: &String| self.done.contains(id) || !self.listed.contains_key(id);
        let waits = |shard: &&Shard| !self.done.contains(&shard.id) && !self.handed_out.contains(&shard.id);
        let ready: Vec<Shard> = self.listed.values().filter(waits).filter(|shard| shard.parents.iter().all(read)).cloned().collect();
        self.handed_out.extend(ready.iter().map(|shard| shard.id.clone()));
        ready
    }

    /// Whether every listed shard was returned.
    pub(super) fn are_all_handed_out(&self) -> bool {
        self.listed.keys().all(|id| self.done.contains(id) || self.handed_out.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str], closed: bool) -> Shard {
        let parents = parents.iter().map(|&parent| parent.to_owned()).collect();
        Shard { id: id.to_owned(), parents, hash_keys: 0..=u128::MAX, closed }
    }

    fn ids(shards: Vec<Shard>) -> Vec<String> {
        shards.into_iter().map(|shard| shard.id).collect()
    }

    #[test]
    fn children_wait_for_all_their_parents() {
        let mut shards = Shards::default();
        shards.list(vec![shard("a", &[], true), shard("b", &["a"], true), shard("c", &["a"], true), shard("d", &["b", "c"], false)]);
        assert_eq!(ids(shards.hand_out()), ["a"]);
        assert_eq!((ids(shards.hand_out()).len(), shards.are_all_handed_out()), (0, false));
        shards.finish("a");
        assert_eq!(ids(shards.hand_out()), ["b", "c"]);
        shards.finish("b");
        assert!(shards.hand_out().is_empty());
        shards.finish("c");
        assert_eq!((ids(shards.hand_out()), shards.are_all_handed_out()), (vec!["d".to_owned()], true));
    }

    #[test]
    fn a_parent_that_went_by_retention_is_not_waited_for() {
        let mut shards = Shards::default();
        shards.list(vec![shard("c", &["a", "b"], false), shard("b", &[], true)]);
        assert_eq!(ids(shards.hand_out()), ["b"]);
        shards.list(vec![shard("c", &["a", "b"], false)]);
        assert_eq!(ids(shards.hand_out()), ["c"]);
    }

    #[test]
    fn only_what_is_open_is_read_from_now_on() {
        let mut shards = Shards::default();
        shards.list(vec![shard("a", &[], true), shard("b", &["a"], false)]);
        shards.leave_out_closed();
        assert_eq!(ids(shards.hand_out()), ["b"]);
    }
}
