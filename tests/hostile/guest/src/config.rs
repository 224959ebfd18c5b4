//! What a test tells the guest to answer. Schemas and tables come ready-made: as text, or as bytes in hexadecimal.

use serde::Deserialize;

use crate::wasmill::plugin::types::Refusal;

/// The whole configuration; all that is left out is empty.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Config {
    /// The columns that `prepare` answers with.
    pub needs: Bytes,
    pub crosses: Vec<bool>,
    pub ports: Vec<Port>,
    /// What to do in each call before answering.
    pub prepare: Option<String>,
    pub open: Option<String>,
    pub process: Option<String>,
    /// `process` misbehaves only if its batch holds these bytes.
    pub when: Option<String>,
    /// `process` takes some ten to a hundred milliseconds if its batch holds these bytes.
    pub slow: Option<String>,
    /// `process` panics if its batch holds these bytes more than once.
    pub alone: Option<String>,
    /// The answer of `process`; without it, the input is echoed.
    pub outputs: Option<Vec<Output>>,
    pub rejects: Vec<Reject>,
    /// Row 0 is rejected with the order of a map as the message: of the standard library's (`std`), or of the SDK's (`sdk`).
    pub order: Option<String>,
    /// How many times all outputs are repeated.
    pub repeat: Option<usize>,
}

/// `{"text": "…"}`, `{"hex": "…"}` or `{"zeros": 5}`; or `{"before": "[1", "text": ",1", "times": 1000, "after": "]"}`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Bytes {
    text: Option<String>,
    times: Option<usize>,
    before: String,
    after: String,
    hex: String,
    zeros: usize,
}

impl Bytes {
    pub fn bytes(&self) -> Vec<u8> {
        if let Some(text) = &self.text {
            return [self.before.as_str(), &text.repeat(self.times.unwrap_or(1)), &self.after].concat().into_bytes();
        }
        let digit = |byte: u8| (byte as char).to_digit(16).expect("a hexadecimal digit") as u8;
        let mut bytes: Vec<u8> = self.hex.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        bytes.resize(bytes.len() + self.zeros, 0);
        bytes
    }
}

#[derive(Deserialize)]
pub struct Port {
    pub name: String,
    pub schema: Bytes,
    /// `computed`, `input 3` or `nulled 3`.
    pub columns: Vec<String>,
}

#[derive(Deserialize)]
pub struct Output {
    #[serde(default)]
    pub port: u32,
    #[serde(default)]
    pub columns: Bytes,
    #[serde(default)]
    pub origins: Option<Vec<u32>>,
    /// That many rows, all from row 0.
    #[serde(default)]
    pub many_origins: Option<usize>,
}

#[derive(Deserialize)]
pub struct Reject {
    pub row: u32,
    pub code: String,
    #[serde(default)]
    pub message: String,
}

impl Config {
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let config: serde_json::Value = serde_json::from_str(text).expect("the host sends JSON");
        if let Some(message) = config.get("refuse").and_then(|value| value.as_str()) {
            return Err(Refusal { message: message.to_owned(), config_path: Some("/refuse".to_owned()), column: None });
        }
        Ok(serde_json::from_value(config).expect("the tests send what this guest understands"))
    }
}
