//! How a stage names its plugin.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A plugin's name or path, and the digest that it must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginReference {
    /// A name to look up, or a path if it ends in `.wasm`.
    pub name: String,
    /// The SHA-256 of the `.wasm`, in lower-case hex, if it is pinned.
    pub digest: Option<String>,
}

impl PluginReference {
    /// Whether it is a path.
    pub fn is_path(&self) -> bool {
        self.name.ends_with(".wasm")
    }
}

impl FromStr for PluginReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, digest) = match text.rsplit_once("@sha256:") {
            None => (text, None),
            Some((name, digest)) => (name, Some(digest)),
        };
        if let Some(digest) = digest {
            if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err("a pinned digest is `@sha256:` and 64 hexadecimal digits".into());
            }
        } else if let Some((_, pin)) = text.split_once('@') {
            let pin = crate::diagnostics::shorten(pin, 40);
            return Err(format!("`@{pin}` pins nothing: only `@sha256:` and 64 hexadecimal digits do"));
        }
        let reference = Self { name: name.to_owned(), digest: digest.map(str::to_lowercase) };
        let named = name.starts_with(|char: char| char.is_ascii_alphanumeric())
            && name.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'));
        if named || reference.is_path() {
            return Ok(reference);
        }
        let short = crate::diagnostics::shorten(name, 60);
        Err(format!("`{short}` is neither the name of a plugin (letters, digits, `-`, `_`) nor a path that ends in `.wasm`"))
    }
}

impl fmt::Display for PluginReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@sha256:{digest}"))
    }
}

impl<'de> Deserialize<'de> for PluginReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for PluginReference {
    fn schema_name() -> Cow<'static, str> {
        "PluginReference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "plugin",
            "description": "A plugin's name, or a path that ends in `.wasm`; `@sha256:` and 64 hexadecimal digits after it pin the digest.",
            "examples": ["clean-pin", "plugins/mine.wasm"],
        })
    }
}
