//! What a checkpoint holds, and its bytes: a header line with a digest, then JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Error, Progress, Result, Token};

/// The format without stages. It is still written where there are none, so that earlier versions can read it.
const WITHOUT_STAGES: u32 = 1;
/// The format in which keyed stages have a state.
const WITH_STAGES: u32 = 2;

/// The epoch of the first claim of a new state: the epochs of rows count from 1.
pub(crate) const FIRST_CLAIM: u64 = 0;

/// The durable note of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The pipeline's name.
    pub pipeline: String,
    /// Which life of the state this is.
    pub incarnation: Uuid,
    /// The epoch. The first one that can hold rows is 1; 0 is the claim of a new state.
    pub epoch: u64,
    /// How far each source has been read at the end of the epoch.
    pub sources: BTreeMap<String, Progress>,
    /// What each sink has to commit for the epoch.
    pub sinks: BTreeMap<String, SinkProgress>,
    /// The state of each keyed stage at the end of the epoch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<String, StageState>,
}

/// A keyed stage's part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageState {
    /// What its state depends on: a stage of another fingerprint can't use it.
    pub fingerprint: Value,
    /// Its watermark in microseconds; `None`: it has none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<i64>,
    /// What it keeps, as the stage understands it; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
}

/// A sink's part of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SinkProgress {
    /// The epoch of its last commit before this checkpoint, 0 for none.
    pub previous: u64,
    /// Its prepared commit; `None` if the epoch had no rows for it.
    pub prepared: Option<Value>,
}

impl SinkProgress {
    /// The epoch of the sink's last commit once the given checkpoint's epoch is committed.
    pub fn settled(&self, epoch: u64) -> u64 {
        if self.prepared.is_some() { epoch } else { self.previous }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    wasmill_checkpoint: u32,
    sha256: String,
    bytes: usize,
}

impl Checkpoint {
    /// The token of a sink's commit in this checkpoint.
    pub fn token(&self, sink: &str) -> Token {
        let previous = self.sinks.get(sink).map_or(0, |progress| progress.previous);
        Token { pipeline: self.pipeline.clone(), sink: sink.to_owned(), incarnation: self.incarnation, epoch: self.epoch, previous }
    }

    /// The checkpoint that follows when nothing is read: the same progress, every commit settled, nothing prepared.
    #[must_use]
    pub fn claim(&self) -> Self {
        let settled = |progress: &SinkProgress| SinkProgress { previous: progress.settled(self.epoch), prepared: None };
        let sinks = self.sinks.iter().map(|(name, progress)| (name.clone(), settled(progress))).collect();
        Self { epoch: self.epoch + 1, sinks, ..self.clone() }
    }

    /// Its bytes in a store.
    ///
    /// # Errors
    /// A bug: every checkpoint can be written as JSON.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let bug = |error: serde_json::Error| Error::bug(format!("a checkpoint can't be written as JSON: {error}"));
        let body = serde_json::to_vec(self).map_err(bug)?;
        let format = if self.stages.is_empty() { WITHOUT_STAGES } else { WITH_STAGES };
        let header = Header { wasmill_checkpoint: format, sha256: hex::encode(Sha256::digest(&body)), bytes: body.len() };
        let mut bytes = serde_json::to_vec(&header).map_err(bug)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The digest in the header of an encoded checkpoint, which distinguishes it from every other
    /// one. The bytes may end behind the header's line.
    pub fn digest_in(bytes: &[u8]) -> Option<String> {
        let header = bytes.split(|&byte| byte == b'\n').next()?;
        serde_json::from_slice::<Header>(header).ok().map(|header| header.sha256)
    }

    /// Reads what [`Checkpoint::encode`] wrote.
    ///
    /// # Errors
    /// What is wrong with the bytes: truncated, changed, or of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let end = bytes.iter().position(|&byte| byte == b'\n').ok_or("its header line is cut off")?;
        let header: Header = serde_json::from_slice(&bytes[..end]).map_err(|error| format!("its header is not readable: {error}"))?;
        if ![WITHOUT_STAGES, WITH_STAGES].contains(&header.wasmill_checkpoint) {
            return Err(format!("its format is {}, this version of wasmill reads up to {WITH_STAGES}", header.wasmill_checkpoint));
        }
        let rest = &bytes[end + 1..];
        let body = rest.get(..header.bytes).ok_or_else(|| format!("it is cut off: {} of {} bytes are there", rest.len(), header.bytes))?;
        if hex::encode(Sha256::digest(body)) != header.sha256 {
            return Err("its content does not match its digest".to_owned());
        }
        serde_json::from_slice(body).map_err(|error| format!("its content is not readable: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn checkpoint() -> Checkpoint {
        let sinks = [("a", 3, None), ("b", 4, Some(serde_json::json!({"x": 1})))]
            .map(|(name, previous, prepared)| (name.to_owned(), SinkProgress { previous, prepared }));
        Checkpoint {
            pipeline: "p".into(),
            incarnation: Uuid::nil(),
            epoch: 5,
            sources: BTreeMap::new(),
            sinks: sinks.into(),
            stages: BTreeMap::new(),
        }
    }

    #[test]
    fn survives_a_round_trip() {
        let checkpoint = checkpoint();
        assert_eq!(Checkpoint::decode(&checkpoint.encode().unwrap()), Ok(checkpoint));
    }

    #[test]
    fn a_checkpoint_with_stages_is_of_the_second_format_and_a_claim_keeps_them() {
        let state =
            StageState { fingerprint: serde_json::json!({"keys": ["a"]}), watermark: Some(-7), state: Some(serde_json::json!([1])) };
        let checkpoint = Checkpoint { stages: [("s".to_owned(), state)].into(), ..checkpoint() };
        let bytes = checkpoint.encode().unwrap();
        assert!(bytes.starts_with(b"{\"wasmill_checkpoint\":2,"));
        assert_eq!(Checkpoint::decode(&bytes).as_ref(), Ok(&checkpoint));
        assert_eq!(checkpoint.claim().stages, checkpoint.stages);
        assert!(self::checkpoint().encode().unwrap().starts_with(b"{\"wasmill_checkpoint\":1,"));
    }

    #[test]
    fn a_claim_settles_what_was_prepared() {
        let claim = checkpoint().claim();
        assert_eq!((claim.epoch, claim.sinks["a"].previous, claim.sinks["b"].previous), (6, 3, 5));
        assert!(claim.sinks.values().all(|progress| progress.prepared.is_none()));
    }

    proptest! {
        #[test]
        fn any_truncation_or_changed_byte_is_noticed(cut in 0usize..400, at in 0usize..400, bit in 0u8..8) {
            let bytes = checkpoint().encode().unwrap();
            let cut = cut % (bytes.len() - 1);
            prop_assert!(Checkpoint::decode(&bytes[..cut]).is_err());
            let mut changed = bytes.clone();
            let at = at % (bytes.len() - 1);
            changed[at] ^= 1 << bit;
            if let Ok(read) = Checkpoint::decode(&changed) {
                prop_assert_eq!(read, checkpoint());
            }
        }
    }
}
