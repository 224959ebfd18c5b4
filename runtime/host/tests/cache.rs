//! Compiled plugins: kept, found again, never trusted when they are damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/hostile/support.rs"]
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use wasmill_host::Host;

fn entry(folder: &Path) -> std::path::PathBuf {
    let entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.into_iter().next().unwrap()
}

#[test]
fn a_damaged_entry_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let load = || Host::builder().cache_dir(cache.clone()).build().unwrap().load_bytes("guest.wasm", support::guest());
    load().unwrap();
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let entry = entry(&cache);
    let intact = std::fs::read(&entry).unwrap();
    let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let first = modified(&entry);
    load().unwrap();
    assert_eq!(modified(&entry), first, "an intact entry is used as it is");
    let mut flipped = intact.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damage in [flipped, intact[..intact.len() - 1].to_vec(), Vec::new(), b"garbage".to_vec()] {
        std::fs::write(&entry, damage).unwrap();
        load().unwrap();
        assert_eq!(std::fs::read(&entry).unwrap(), intact);
    }
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = Host::builder().cache_dir(folder.path().to_owned()).build().err().unwrap();
    assert!(error.to_string().contains("is not private (owner"), "{error}");
    assert!(error.to_string().contains("mode 755"), "{error}");
}

#[test]
fn a_loaded_plugin_is_warm_in_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::builder().cache_dir(folder.path().join("cache")).build().unwrap();
    host.load_bytes("guest.wasm", support::guest()).unwrap();
    let start = std::time::Instant::now();
    host.load_bytes("guest.wasm", support::guest()).unwrap();
    // Compiling takes seconds; this bound only tells the two apart on a busy machine.
    assert!(start.elapsed() < std::time::Duration::from_millis(500), "{:?}", start.elapsed());
}
