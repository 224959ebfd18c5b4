//! A plugin's file before anything trusts it: read with a bound, recognised by its first bytes,
//! named by its digest.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::HostError;

/// The largest plugin that is read. CPython in a component is 18 MB.
pub(crate) const MAX_WASM_BYTES: u64 = 64 << 20;

const MAGIC: [u8; 4] = *b"\0asm";

/// Reads a plugin's bytes: never more than [`MAX_WASM_BYTES`] of them.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, HostError> {
    let name = path.display().to_string();
    let io = |source| HostError::io(format!("read the plugin {name}"), source);
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    if metadata.is_dir() {
        return Err(HostError::not_a_plugin(name, "it is a folder"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_WASM_BYTES)).unwrap_or_default());
    if metadata.len() <= MAX_WASM_BYTES {
        file.take(MAX_WASM_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    }
    if metadata.len() > MAX_WASM_BYTES || bytes.len() as u64 > MAX_WASM_BYTES {
        return Err(too_large(&name, metadata.len().max(bytes.len() as u64)));
    }
    Ok(bytes)
}

fn too_large(name: &str, bytes: u64) -> HostError {
    HostError::not_a_plugin(name, format!("it has {bytes} bytes; at most {MAX_WASM_BYTES} are read"))
}

/// Checks that the bytes begin like a component.
pub(crate) fn check(name: &str, bytes: &[u8]) -> Result<(), HostError> {
    if bytes.len() as u64 > MAX_WASM_BYTES {
        return Err(too_large(name, bytes.len() as u64));
    }
    let Some(([m0, m1, m2, m3, v0, v1, l0, l1], _)) = bytes.split_first_chunk::<8>() else {
        return Err(HostError::not_a_plugin(name, format!("its {} bytes are no WebAssembly", bytes.len())));
    };
    if [*m0, *m1, *m2, *m3] != MAGIC {
        return Err(HostError::not_a_plugin(name, "it is no WebAssembly: it doesn't begin with `\\0asm`"));
    }
    match ([*v0, *v1], [*l0, *l1]) {
        (_, [1, 0]) => Ok(()),
        ([1, 0], [0, 0]) => Err(HostError::not_a_plugin(
            name,
            "it is a core WebAssembly module, and a plugin is a component: build it for the target wasm32-wasip2",
        )),
        (version, layer) => Err(HostError::not_a_plugin(
            name,
            format!("it is WebAssembly of an unknown kind (version {}, layer {})", u16::from_le_bytes(version), u16::from_le_bytes(layer)),
        )),
    }
}

/// The SHA-256 of the bytes in lower-case hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
