//! Checkpoints: damaged ones are refused; whatever is accepted is the same when it is written and read again. The content is attacked without its digest, too.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;
use wasmill_engine::{Checkpoint, SinkProgress, SplitState, StageState};

use crate::campaign::Target;
use crate::json::{integer, text};
use crate::random::Random;

pub struct State;

fn reads_back(checkpoint: &Checkpoint) -> Result<Vec<u8>, String> {
    let bytes = checkpoint.encode().unwrap();
    match Checkpoint::decode(&bytes) {
        Ok(again) if again == *checkpoint => Ok(bytes),
        other => Err(format!("{checkpoint:?} is read again as {other:?}")),
    }
}

impl Target for State {
    const NAME: &'static str = "checkpoint";
    const DICTIONARY: &'static [&'static str] = &[
        "wasmill_checkpoint",
        "sha256",
        "bytes",
        "\"epoch\":",
        "\"pipeline\":",
        "\"incarnation\":",
        "\"sources\":",
        "\"sinks\":",
        "\"previous\":",
        "\"prepared\":",
        "\"position\":",
        "\"done\":",
        "null",
        "true",
        "{}",
        "[]",
        "{",
        "}",
        ",",
        "\n",
        "1e400",
        "\\ud800",
    ];

    fn check(input: &[u8]) -> Result<String, String> {
        let whole = Checkpoint::decode(input);
        if let Ok(checkpoint) = &whole {
            reads_back(checkpoint)?;
        }
        // The content alone, as one with a right digest would be read.
        let content = input.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or(input);
        let content = serde_json::from_slice::<Checkpoint>(content);
        if let Ok(checkpoint) = &content {
            reads_back(checkpoint)?;
        }
        let words = |text: String| text.chars().filter(|letter| letter.is_alphabetic()).take(50).collect::<String>();
        Ok(format!("{:?} {:?}", whole.map(|_| ()).map_err(words), content.map(|_| ()).map_err(|error| words(error.to_string()))))
    }

    fn generate(random: &mut Random) -> Result<Vec<u8>, String> {
        let split = |random: &mut Random| {
            let state = SplitState { position: json!({ "at": integer(random), "of": text(random) }), done: random.below(2) == 0 };
            (text(random).into(), state)
        };
        let sources = (0..random.below(3)).map(|_| (text(random), (0..random.below(5)).map(|_| split(random)).collect())).collect();
        let sink = |random: &mut Random| {
            let prepared = (random.below(2) == 0).then(|| json!({ "files": [text(random)], "rows": integer(random) }));
            (text(random), SinkProgress { previous: random.below(1 << 40), prepared })
        };
        let sinks: BTreeMap<_, _> = (0..random.below(3)).map(|_| sink(random)).collect();
        let incarnation = Uuid::from_u64_pair(random.below(u64::MAX), random.below(u64::MAX));
        let stage = |random: &mut Random| {
            let watermark = (random.below(2) == 0).then(|| integer(random));
            (text(random), StageState { fingerprint: json!({ "keys": [text(random)] }), watermark, state: Some(json!([integer(random)])) })
        };
        let stages = (0..random.below(3)).map(|_| stage(random)).collect();
        reads_back(&Checkpoint { pipeline: text(random), incarnation, epoch: random.below(u64::MAX), sources, sinks, stages })
    }

    fn memory(bytes: usize) -> usize {
        (1 << 20) + 400 * bytes
    }
}
