//! Compiled plugins are kept, found again, and never trusted when they are damaged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../../tests/hostile/encode.rs"]
mod encode;
#[path = "../../../tests/hostile/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmill_host::{CompileWith, Host, HostError};

/// A small plugin; each number gives another one.
fn small_plugin(number: usize) -> Vec<u8> {
    let text = include_str!("../examples/pass_on.wat");
    let other = text.replace("Passes the column", &format!("Passes {number:010}"));
    assert_ne!(text, other);
    encode::component(&other, include_str!("../../../wit/wasmill.wit"), "transform-plugin").unwrap()
}

/// The entries of a cache and their size together.
fn entries(folder: &Path) -> (BTreeSet<PathBuf>, u64) {
    let paths: BTreeSet<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let bytes = paths.iter().map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len())).sum();
    (paths, bytes)
}

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
    // Compiling takes seconds; this bound distinguishes the two even on a busy machine.
    assert!(start.elapsed() < std::time::Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let load = |number: usize, bytes: u64| {
        let host = Host::builder().cache_dir(cache.clone()).cache_bytes(bytes).build().unwrap();
        host.load_bytes("small.wat", &small_plugin(number)).unwrap();
        entries(&cache)
    };
    let (first, size) = load(0, 1 << 30);
    let room = 2 * size + size / 2;
    let (two, _) = load(1, room);
    assert_eq!(two.len(), 2);
    // The first was used again, so the second is removed.
    assert_eq!(load(0, room).0, two);
    let (now, bytes) = load(2, room);
    assert_eq!(now.len(), 2);
    assert!(now.is_superset(&first) && bytes <= room, "{first:?} {now:?}");
    // A cache without room keeps its content and does not get in the way.
    assert_eq!(load(3, size / 2).0, now);
}

#[test]
fn what_a_killed_writer_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let host = Host::builder().cache_dir(cache.clone()).build().unwrap();
    for left in [".writing-a1B2c3", ".tmpXyZ123"] {
        std::fs::write(cache.join(left), [0; 1000]).unwrap();
    }
    std::fs::write(cache.join("README"), "not ours").unwrap();
    host.load_bytes("small.wat", &small_plugin(0)).unwrap();
    let names: Vec<String> = entries(&cache).0.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().any(|name| name == "README") && names.iter().any(|name| name.ends_with(".cwasm")), "{names:?}");
}

const SHARED_CACHE: &str = "WASMILL_TEST_SHARED_CACHE";
const SHARED_BYTES: u64 = 200_000;

/// Not a test: one of the processes that share a cache.
#[test]
#[ignore = "only `processes_share_a_small_cache` starts it"]
fn one_of_many_processes() {
    let cache = PathBuf::from(std::env::var_os(SHARED_CACHE).unwrap());
    for round in 0..30 {
        let host = Host::builder().cache_dir(cache.clone()).cache_bytes(SHARED_BYTES).build().unwrap();
        let number = (std::process::id() as usize + round * 7) % 10;
        let plugin = host.load_bytes("small.wat", &small_plugin(number)).unwrap();
        assert!(plugin.description().documentation.contains(&format!("{number:010}")));
    }
}

#[test]
fn processes_share_a_small_cache() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let host = Host::builder().cache_dir(cache.clone()).build().unwrap();
    host.load_bytes("small.wat", &small_plugin(0)).unwrap();
    let (_, size) = entries(&cache);
    assert!((1..SHARED_BYTES / 2).contains(&size) && 10 * size > SHARED_BYTES, "with entries of {size} bytes this shows nothing");
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "one_of_many_processes", "--ignored"]).env(SHARED_CACHE, &cache).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (paths, bytes) = entries(&cache);
    assert!(bytes <= SHARED_BYTES && !paths.is_empty(), "{bytes} bytes");
    assert!(paths.iter().all(|path| path.extension().is_some_and(|extension| extension == "cwasm")), "{paths:?}");
}

#[test]
fn a_pinned_digest_is_compared_before_the_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.wasm");
    let no_compiler = CompileWith::Child { program: folder.path().join("there-is-none"), args: Vec::new() };
    let host = Host::builder().compile_with(no_compiler).build().unwrap();
    let another = "0".repeat(64);
    for bytes in [small_plugin(0), b"no WebAssembly".to_vec()] {
        std::fs::write(&path, bytes).unwrap();
        let error = host.load_pinned(&path, &another).unwrap_err();
        assert!(matches!(&error, HostError::OtherDigest { pinned, .. } if *pinned == another), "{error:?}");
    }
    // The right one reaches the compiler.
    std::fs::write(&path, small_plugin(0)).unwrap();
    let HostError::OtherDigest { found, .. } = host.load_pinned(&path, &another).unwrap_err() else { panic!("another error") };
    assert!(matches!(host.load_pinned(&path, &found), Err(HostError::Environment { .. })));
}
