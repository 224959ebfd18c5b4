//! Why rows were rejected: the evidence for a run that rejects too many of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{OriginalRecord, Reject};

/// Reasons that are kept apart. Rejects for further ones are counted together.
const MAX_REASONS: usize = 64;
/// Examples that are kept per reason, and shown in all.
const EXAMPLES: usize = 3;
/// Characters of a record or a message that are shown.
const EXCERPT_CHARS: usize = 200;

/// The reasons for which rows were rejected, by node, each with some of its rejects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reasons {
    known: BTreeMap<Key, Reason>,
    /// Rejects by node whose reasons are not kept apart.
    others: BTreeMap<Node, u64>,
}

/// The source or stage that rejected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Source(Arc<str>),
    Stage(Arc<str>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    node: Node,
    code: String,
    column: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct Reason {
    rejects: u64,
    examples: Vec<String>,
}

impl Reasons {
    /// Adds a reject.
    pub fn add(&mut self, reject: &Reject) {
        let node = match &reject.stage {
            Some(stage) => Node::Stage(Arc::clone(stage)),
            None => Node::Source(Arc::clone(&reject.source)),
        };
        let key = Key { node, code: reject.code.clone(), column: reject.column.clone() };
        let is_full = self.known.len() >= MAX_REASONS;
        match self.known.get_mut(&key) {
            Some(reason) => reason.add(reject),
            None if is_full => *self.others.entry(key.node).or_default() += 1,
            None => self.known.entry(key).or_default().add(reject),
        }
    }

    /// Adds those of another lane or epoch.
    pub fn merge(&mut self, others: Self) {
        for (key, theirs) in others.known {
            let mine = self.known.entry(key).or_default();
            mine.rejects += theirs.rejects;
            mine.examples.extend(theirs.examples);
            mine.examples.truncate(EXAMPLES);
        }
        for (node, rejects) in others.others {
            *self.others.entry(node).or_default() += rejects;
        }
    }

    /// Drops those of a node.
    pub fn forget(&mut self, node: &Node) {
        self.known.retain(|key, _| key.node != *node);
        self.others.remove(node);
    }

    /// The most frequent reasons of a node with rejects as examples, one text per reason: at least
    /// three examples where there are that many rejects.
    pub fn describe(&self, node: &Node) -> Vec<String> {
        let mut of_node: Vec<(&Key, &Reason)> = self.known.iter().filter(|(key, _)| key.node == *node).collect();
        of_node.sort_by_key(|(_, reason)| std::cmp::Reverse(reason.rejects));
        let shown = of_node.len().min(EXAMPLES);
        let mut texts: Vec<String> = Vec::with_capacity(shown + 1);
        for (rank, (key, reason)) in of_node.iter().take(shown).enumerate() {
            // The commonest reason has the examples that the others leave.
            let examples = if rank == 0 { EXAMPLES + 1 - shown } else { 1 };
            let column = key.column.as_ref().map_or_else(String::new, |column| format!(", column {column}"));
            let mut text = format!("{} rejected as {}{column}:", reason.rejects, key.code);
            for example in reason.examples.iter().take(examples) {
                text += "\n  ";
                text += example;
            }
            texts.push(text);
        }
        let rest: u64 =
            of_node.iter().skip(shown).map(|(_, reason)| reason.rejects).sum::<u64>() + self.others.get(node).copied().unwrap_or_default();
        if rest > 0 {
            texts.push(format!("{rest} rejected for other reasons"));
        }
        texts
    }
}

impl Reason {
    fn add(&mut self, reject: &Reject) {
        self.rejects += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example(reject));
        }
    }
}

fn example(reject: &Reject) -> String {
    let record = match &reject.record {
        OriginalRecord::Bytes(bytes) => {
            // Four bytes per character at most: the rest of a large record is not examined.
            let head = &bytes[..bytes.len().min(EXCERPT_CHARS * 4 + 4)];
            excerpt(&String::from_utf8_lossy(head))
        }
        OriginalRecord::Json(json) => excerpt(json),
    };
    format!("{} at {} of {}: {record}", excerpt(&reject.message), reject.position, reject.partition)
}

fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(EXCERPT_CHARS).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(position: u64, code: &str, stage: Option<&str>) -> Reject {
        Reject {
            source: "pins".into(),
            partition: "a.jsonl".into(),
            position,
            record: OriginalRecord::Bytes(format!("{{\"id\":{position}}}\n").into_bytes().into()),
            stage: stage.map(Into::into),
            plugin: None,
            code: code.into(),
            column: Some("id".into()),
            message: "no".into(),
        }
    }

    #[test]
    fn the_commonest_reason_comes_first_and_three_rejects_are_shown() {
        let mut reasons = Reasons::default();
        reasons.add(&reject(1, "rare", None));
        (2..9).for_each(|position| reasons.add(&reject(position, "common", None)));
        reasons.add(&reject(10, "of-a-stage", Some("clean")));
        let mut more = Reasons::default();
        more.add(&reject(11, "common", None));
        reasons.merge(more);
        let pins = Node::Source("pins".into());
        assert_eq!(
            reasons.describe(&pins),
            [
                "8 rejected as common, column id:\n  no at 2 of a.jsonl: {\"id\":2}\u{fffd}\n  no at 3 of a.jsonl: {\"id\":3}\u{fffd}",
                "1 rejected as rare, column id:\n  no at 1 of a.jsonl: {\"id\":1}\u{fffd}",
            ]
        );
        reasons.forget(&pins);
        assert!(reasons.describe(&pins).is_empty());
        assert_eq!(reasons.describe(&Node::Stage("clean".into())).len(), 1);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut reasons = Reasons::default();
        (0..1000).for_each(|position| reasons.add(&reject(position, &format!("code-{position}"), None)));
        let large = Reject { record: OriginalRecord::Json("é".repeat(1 << 20)), ..reject(0, "code-0", None) };
        reasons.add(&large);
        let texts = reasons.describe(&Node::Source("pins".into()));
        assert_eq!(texts.len(), 4);
        assert_eq!(texts[3], "997 rejected for other reasons");
        assert!(texts.iter().all(|text| text.len() < 2000), "{texts:?}");
    }
}
