//! What the guest does to its host, by name.

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant, SystemTime};

use crate::wasmill::plugin::logging::{Level, log};

/// Does what it is told; comes back only from the harmless attacks.
pub fn run(attack: Option<&str>) {
    let Some(attack) = attack else { return };
    let (name, argument) = attack.split_once(':').unwrap_or((attack, ""));
    match name {
        "loop" => forever(),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "panic" => panic!("{argument}"),
        "unreachable" => core::arch::wasm32::unreachable(),
        "out-of-bounds" => out_of_bounds(),
        "stack" => {
            black_box(recurse(1));
        }
        "memory" => memory(),
        "leak" => leak(argument.parse().expect("a number of bytes")),
        "log-flood" => log_flood(),
        "log-escapes" => log_escapes(),
        "log-blanks" => log_blanks(),
        "log-huge" => log(Level::Error, &"x".repeat(4 << 20)),
        "exit" => std::process::exit(0),
        "file" => panic!("opened a file: {}", outcome(std::fs::File::open("/etc/passwd"))),
        "write-file" => panic!("wrote a file: {}", outcome(std::fs::write("/tmp/hostile", "x"))),
        "network" => panic!("connected: {}", outcome(std::net::TcpStream::connect("127.0.0.1:80"))),
        "environment" => panic!("{} variables, {} arguments", std::env::vars().count(), std::env::args().count()),
        "time" => panic!("the clocks say {:?} and {:?}", SystemTime::now().duration_since(SystemTime::UNIX_EPOCH), Instant::now()),
        "wait-for-time" => wait_for_time(),
        "random" => panic!("the first random map order is {}", order("std")),
        "stdin" => panic!("read {:?}", std::io::stdin().lines().next().map(|line| line.is_ok())),
        other => panic!("there is no attack `{other}`"),
    }
}

fn outcome<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "it worked".to_owned(),
        Err(error) => format!("it failed, {error}"),
    }
}

fn forever() {
    loop {
        spin(u64::MAX);
    }
}

/// Counts that far.
pub fn spin(turns: u64) {
    let mut turn = 0_u64;
    while turn < turns {
        turn = black_box(turn.wrapping_add(1));
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    recurse(black_box(depth + 1)) + frame[3]
}

fn memory() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 16 << 20]));
    }
}

fn leak(bytes: usize) {
    std::mem::forget(black_box(vec![1_u8; bytes]));
}

fn out_of_bounds() {
    let far = black_box(0xffff_fff0_usize) as *const u64;
    black_box(unsafe { far.read_volatile() });
}

fn log_flood() {
    for line in 0..1000 {
        log(Level::Info, &format!("line {line} of a flood"));
        println!("and line {line} on standard output");
    }
    panic!("flooded");
}

fn log_blanks() {
    let _ = std::io::stdout().write_all(&[b'\n'; 10_000]);
    for _ in 0..2_000 {
        log(Level::Info, "");
    }
    panic!("blank");
}

fn log_escapes() {
    log(Level::Error, "\u{1b}]0;owned\u{7}\u{1b}[2J \u{202e}desrever\r\nnot a new line");
    eprint!("\u{1b}[31mred \u{0}{}", "y".repeat(10_000));
    let _ = std::io::stderr().write_all(b"\n\xff\xfe not UTF-8\n");
    panic!("\u{1b}[5mblinking");
}

fn wait_for_time() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(1) {}
}

/// The order of eight keys in a map that is made now.
pub fn order(kind: &str) -> String {
    let keys: Vec<u32> = match kind {
        "std" => (0..8).map(|key| (key, ())).collect::<std::collections::HashMap<u32, ()>>().into_keys().collect(),
        _ => (0..8).map(|key| (key, ())).collect::<crate::collections::HashMap<u32, ()>>().into_keys().collect(),
    };
    format!("{keys:?}")
}
