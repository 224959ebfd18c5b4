//! Builds the hostile guest once and writes modes into it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

const MARK: &[u8] = b"hostile-mode:";
const MODE_ROOM: usize = 256;

/// The guest as it was built: it echoes its input unless its configuration says otherwise.
pub fn guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| {
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("hostile-guest");
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
        let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--release", "--package", "hostile-guest", "--target", "wasm32-wasip2", "--target-dir"])
            .arg(&target)
            .current_dir(root)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()
            .expect("cargo can be started");
        assert!(status.success(), "the hostile guest does not build");
        std::fs::read(target.join("wasm32-wasip2/release/hostile_guest.wasm")).expect("the guest was built")
    })
}

/// The guest with a mode written into it.
pub fn guest_in_mode(mode: &str) -> Vec<u8> {
    assert!(MARK.len() + mode.len() <= MODE_ROOM, "the mode is too long");
    let mut bytes = guest().to_vec();
    let places: Vec<usize> = (0..bytes.len() - MODE_ROOM)
        .filter(|&place| bytes[place..].starts_with(MARK) && bytes[place + MARK.len()..][..64] == [b' '; 64])
        .collect();
    let [place] = places.as_slice() else { panic!("the mode can be written to {} places", places.len()) };
    bytes[place + MARK.len()..][..mode.len()].copy_from_slice(mode.as_bytes());
    bytes
}
