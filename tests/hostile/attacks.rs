//! The attacks: a name, and what the host is made to do. What comes back is the host's answer in text.

use std::path::Path;

use serde_json::{Value, json};
use wasmill_host::{FaultPolicy, Host, HostError, Limits, OnFault, Plugin};

use crate::components;
use crate::memory::peak_bytes;
use crate::support::{echo_with, guest_in_mode, input, input_schema, json_plugin, plugin, small_limits};
use crate::{slow_compile, tables};

/// An attack. The first argument is what all attacks of a round share.
pub struct Attack {
    pub name: &'static str,
    run: Box<dyn Fn(&Shared) -> String + Send + Sync>,
}

/// The host under attack.
pub struct Shared {
    pub host: Host,
    /// Plugins are compiled once a process; loading them again takes them from here.
    _cache: tempfile::TempDir,
}

impl Shared {
    pub fn new() -> Self {
        let cache = tempfile::tempdir().unwrap();
        let host = Host::builder().load_limits(small_limits()).cache_dir(cache.path().join("cache")).build().unwrap();
        Self { host, _cache: cache }
    }
}

impl Attack {
    fn new(name: &'static str, run: impl Fn(&Shared) -> String + Send + Sync + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// Attacks, and gives the host's answer.
    pub fn run(&self, shared: &Shared) -> String {
        (self.run)(shared)
    }

    /// Loads bytes.
    fn load(name: &'static str, wasm: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(name, move |shared| loaded(shared.host.load_bytes("hostile.wasm", &wasm())))
    }

    /// Loads the guest with a mode written into it.
    fn mode(name: &'static str, mode: &'static str) -> Self {
        Self::load(name, move || guest_in_mode(mode))
    }

    /// Opens the echo with other members in its configuration, and processes ten rows.
    fn process(name: &'static str, members: Value) -> Self {
        Self::new(name, move |_| processed(&echo_with(members.clone()), &small_limits()))
    }

    /// Answers with JSON lines that are short for what they mean: `columns` of these types by a port, from so many rows.
    fn json(name: &'static str, types: &'static [&'static str], rows: usize, columns: Value) -> Self {
        Self::new(name, move |_| {
            let limits = Limits { output_bytes: 1 << 20, ..small_limits() };
            processed_by(&json_plugin(), &tables::json_answer(types, rows, &columns), &limits)
        })
    }

    /// Runs a well-typed component written by hand, whose function bodies and memory are replaced.
    fn component(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Self {
        Self::new(name, move |shared| match shared.host.load_bytes("hostile.wat", &components::changed(changes)) {
            Ok(plugin) => processed_by(&plugin, &json!({}), &small_limits()),
            Err(error) => answer_of(&error),
        })
    }
}

fn loaded(result: Result<Plugin, HostError>) -> String {
    match result {
        Ok(plugin) => format!("loaded {}", plugin.description().name),
        Err(error) => answer_of(&error),
    }
}

fn processed(config: &Value, limits: &Limits) -> String {
    processed_by(&plugin(), config, limits)
}

fn processed_by(plugin: &Plugin, config: &Value, limits: &Limits) -> String {
    let policy = FaultPolicy { on_fault: OnFault::Stop, ..FaultPolicy::default() };
    let mut instance = match plugin.transform(config, input_schema(), limits, policy).and_then(|transform| transform.instance()) {
        Ok(instance) => instance,
        Err(error) => return answer_of(&error),
    };
    let batch = input(10);
    let (answer, peak) = peak_bytes(|| instance.process(&batch));
    // What was handed over, what is built of it, and that once more and a half while it grows.
    let most = 4 * limits.output_bytes + (1 << 20);
    assert!(peak <= most, "the host took {peak} bytes for an answer that may have {}: {config:.200}", limits.output_bytes);
    match answer {
        Ok(processed) => {
            let rows: Vec<usize> = processed.outputs.iter().map(|output| output.records.num_rows()).collect();
            let rejects: Vec<&str> = processed.rejects.iter().map(|reject| reject.message.as_str()).collect();
            format!("rows {rows:?}, rejects {rejects:?}")
        }
        Err(error) => answer_of(&error),
    }
}

/// The class, the message and the log of an error.
fn answer_of(error: &HostError) -> String {
    let class = match error {
        HostError::NotAPlugin { .. } => "not a plugin".to_owned(),
        HostError::Refusal { .. } => "refusal".to_owned(),
        HostError::Fault { kind, phase, .. } => format!("fault {kind:?} in {phase}"),
        HostError::Environment { .. } => "environment".to_owned(),
        _ => "bug".to_owned(),
    };
    let mut answer = format!("{class}\n{error}\n");
    if let HostError::Fault { log, .. } = error {
        let shown = 5;
        for line in log.iter().take(shown) {
            let cut: String = line.chars().take(120).collect();
            let more = line.chars().count() - cut.chars().count();
            answer.push_str(&format!("log: {cut}{}\n", if more > 0 { format!(" (and {more} characters)") } else { String::new() }));
        }
        if log.len() > shown {
            answer.push_str(&format!("log: {} more, the last: {}\n", log.len() - shown, log[log.len() - 1]));
        }
    }
    answer
}

/// All of them.
pub fn all() -> Vec<Attack> {
    let mut attacks = Vec::new();
    attacks.extend(time());
    attacks.extend(room());
    attacks.extend(words());
    attacks.extend(world());
    attacks.extend(rows());
    attacks.extend(files());
    attacks.extend(component_attacks());
    attacks.extend(tables::bad_tables().into_iter().map(|(name, members)| Attack::process(name, members)));
    attacks
}

fn time() -> Vec<Attack> {
    vec![
        Attack::mode("loop-in-describe", "describe=loop"),
        Attack::process("loop-in-prepare", json!({ "prepare": "loop" })),
        Attack::process("loop-in-open", json!({ "open": "loop" })),
        Attack::process("loop-in-process", json!({ "process": "loop" })),
        Attack::process("wait-that-never-returns", json!({ "process": "sleep" })),
        Attack::process("wait-for-the-clock", json!({ "process": "wait-for-time" })),
        Attack::new("minutes-to-compile", |_| loaded(slow_compile::host().load_bytes("slow.wasm", slow_compile::component()))),
    ]
}

fn room() -> Vec<Attack> {
    vec![
        Attack::process("memory-bomb", json!({ "process": "memory" })),
        Attack::process("stack-bomb", json!({ "process": "stack" })),
        Attack::new("slow-leak", |_| slow_leak()),
        Attack::process("a-million-copies-of-one-answer", json!({ "outputs": [{ "columns": { "zeros": 1 << 20 } }], "repeat": 20 })),
        Attack::process("oversized-answer", json!({ "outputs": [{ "columns": { "zeros": 9 << 20 } }] })),
        Attack::process("too-many-rows", json!({ "outputs": [{ "many_origins": 100_001 }] })),
        Attack::process("sixty-four-ports-of-repeated-rows", tables::many_ports_of_repeated_rows(64)),
        Attack::new("whole-answers-for-every-part-of-a-batch", |_| whole_answers_for_parts()),
        Attack::json(
            "json-list-of-ones",
            &["List(Int64)"],
            1,
            json!({ "before": "{\"c0\":[1", "text": ",1", "times": 500_000, "after": "]}\n" }),
        ),
        Attack::json(
            "json-list-of-empty-objects",
            &["List(Struct(\"a\": Int64, \"b\": Utf8))"],
            1,
            json!({ "before": "{\"c0\":[{}", "text": ",{}", "times": 300_000, "after": "]}\n" }),
        ),
        Attack::json(
            "json-list-of-blanks",
            &["List(Utf8)"],
            1,
            json!({ "before": "{\"c0\":[\"\"", "text": ",\"\"", "times": 300_000, "after": "]}\n" }),
        ),
        Attack::json(
            "json-empty-rows",
            &["Int64", "Utf8", "Decimal128(38, 2)", "List(Int64)"],
            100_000,
            json!({ "text": "{}\n", "times": 100_000 }),
        ),
        Attack::json("json-blank-lines", &["Int64"], 100_000, json!({ "text": "  \n", "times": 100_000 })),
        Attack::json(
            "json-blanks-between",
            &["Int64"],
            1,
            json!({ "before": "{\"c0\":", "text": " ", "times": 1_000_000, "after": "1}\n" }),
        ),
        Attack::json("json-open-brackets", &["Int64"], 1, json!({ "before": "{\"c0\":", "text": "[", "times": 1_000_000, "after": "\n" })),
    ]
}

/// It fails on every batch, and on a row alone answers with all that an answer may have.
fn whole_answers_for_parts() -> String {
    let mut config = echo_with(tables::many_ports_of_repeated_rows(1));
    crate::support::merge(&mut config, json!({ "alone": "pin " }));
    let transform = plugin().transform(&config, input_schema(), &small_limits(), FaultPolicy::default()).unwrap();
    let mut instance = transform.instance().unwrap();
    match instance.process(&input(10)) {
        Ok(processed) => format!("{} rows", processed.outputs[0].records.num_rows()),
        Err(error) => answer_of(&error),
    }
}

/// 4 MiB a call against a limit of 32 MiB: the instance dies again and again, and no record is to blame.
fn slow_leak() -> String {
    let config = echo_with(json!({ "process": "leak:4194304" }));
    let transform = plugin().transform(&config, input_schema(), &small_limits(), FaultPolicy::default()).unwrap();
    let mut instance = transform.instance().unwrap();
    let (mut rows, mut rejects) = (0, 0);
    for _ in 0..20 {
        let processed = instance.process(&input(10)).unwrap();
        rows += processed.outputs.iter().map(|output| output.records.num_rows()).sum::<usize>();
        rejects += processed.rejects.len();
    }
    format!("{rows} rows out, {rejects} rejects, {} fresh starts", instance.stats().faults)
}

fn words() -> Vec<Attack> {
    vec![
        Attack::process("panic-with-a-message", json!({ "process": "panic:the answer is 42" })),
        Attack::mode("panic-in-describe", "describe=panic:nothing to say"),
        Attack::process("trap-without-a-word", json!({ "process": "unreachable" })),
        Attack::process("out-of-bounds", json!({ "process": "out-of-bounds" })),
        Attack::process("refusal-in-process", json!({ "process": "refuse:no more\u{1b}[31m" })),
        Attack::process("refusal-in-open", json!({ "refuse": "not with me" })),
        Attack::process("log-flood", json!({ "process": "log-flood" })),
        Attack::process("log-line-of-megabytes", json!({ "process": "log-huge" })),
        Attack::process("log-of-empty-lines", json!({ "process": "log-blanks" })),
        Attack::process("terminal-escapes", json!({ "process": "log-escapes" })),
        Attack::mode("fickle-description", "fickle"),
        Attack::mode("config-schema-that-is-no-json", "schema={nonsense"),
        Attack::mode("config-schema-that-is-no-schema", "schema={\"type\":7}"),
        Attack::mode("name-with-escapes", "name=\u{1b}[2Jevil"),
    ]
}

fn world() -> Vec<Attack> {
    vec![
        Attack::process("asks-for-a-file", json!({ "process": "file" })),
        Attack::process("asks-to-write-a-file", json!({ "process": "write-file" })),
        Attack::process("asks-for-the-network", json!({ "process": "network" })),
        Attack::process("asks-for-the-environment", json!({ "process": "environment" })),
        Attack::process("asks-for-the-time", json!({ "process": "time" })),
        Attack::process("asks-for-randomness", json!({ "process": "random" })),
        Attack::process("asks-for-input", json!({ "process": "stdin" })),
        Attack::process("asks-to-exit", json!({ "process": "exit" })),
    ]
}

fn rows() -> Vec<Attack> {
    let echo = || tables::good_table(10);
    vec![
        Attack::process("origin-out-of-range", json!({ "outputs": [{ "columns": tables::good_table(1), "origins": [10] }] })),
        Attack::process("origins-that-decrease", json!({ "outputs": [{ "columns": tables::good_table(2), "origins": [1, 0] }] })),
        Attack::process("reject-out-of-range", json!({ "outputs": [], "rejects": [{ "row": 10, "code": "bad" }] })),
        Attack::process("reject-twice", json!({ "outputs": [], "rejects": [{ "row": 1, "code": "bad" }, { "row": 1, "code": "bad" }] })),
        Attack::process(
            "rejected-and-sent-out",
            json!({ "outputs": [{ "columns": tables::good_table(1), "origins": [3] }], "rejects": [{ "row": 3, "code": "bad" }] }),
        ),
        Attack::process(
            "rejected-and-all-sent-out",
            json!({ "outputs": [{ "columns": echo() }], "rejects": [{ "row": 3, "code": "bad" }] }),
        ),
        Attack::process("reject-code-with-escapes", json!({ "outputs": [], "rejects": [{ "row": 1, "code": "\u{1b}[31m" }] })),
        Attack::process("port-that-does-not-exist", json!({ "outputs": [{ "port": 7, "columns": echo() }] })),
        Attack::process("port-twice", json!({ "outputs": [{ "columns": echo() }, { "columns": echo() }] })),
        Attack::process("repeated-rows-that-would-fill-memory", tables::repeated_rows()),
        Attack::process("bytes-where-nothing-is-computed", tables::bytes_for_nothing()),
        Attack::process(
            "trap-after-half-the-output",
            json!({ "process": "panic:half way", "when": "pin 5 of", "outputs": [{ "columns": echo() }] }),
        ),
    ]
}

fn files() -> Vec<Attack> {
    vec![
        Attack::load("core-module", || wat::parse_str("(module (func (export \"describe\")))").unwrap()),
        Attack::load("not-webassembly", || b"#!/bin/sh\necho owned\n".to_vec()),
        Attack::load("empty-file", Vec::new),
        Attack::load("truncated-component", || {
            let wasm = components::changed(&[]);
            wasm[..wasm.len() / 2].to_vec()
        }),
        Attack::load("damaged-component", || {
            let mut wasm = components::changed(&[]);
            let middle = wasm.len() / 2;
            wasm[middle..middle + 64].fill(0xff);
            wasm
        }),
        Attack::load("unknown-layer", || b"\0asm\x0d\0\x07\0".to_vec()),
        Attack::new("three-hundred-megabytes", |shared| three_hundred_megabytes(&shared.host)),
        Attack::new("a-folder", |shared| loaded(shared.host.load(Path::new("/")))),
    ]
}

fn three_hundred_megabytes(host: &Host) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.wasm");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(300 << 20).unwrap();
    // The peak starts anew from here; where that is forbidden, only what passes the old peak is seen.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = crate::rounds::peak_resident_bytes();
    let answer = loaded(host.load(&path)).replace(&folder.path().display().to_string(), "DIR");
    let grown = crate::rounds::peak_resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "refusing a large file took {grown} bytes");
    answer
}

fn component_attacks() -> Vec<Attack> {
    vec![
        Attack::component("loop-in-initialisation", &[("  (core instance $core", "STARTLOOP")]),
        Attack::component("initial-memory-bomb", &[("(memory (export \"memory\") 2)", "(memory (export \"memory\") 20000)")]),
        Attack::component("initial-table-bomb", &[(";; more items", "(table 50000000 funcref)")]),
        Attack::component(
            "table-bomb",
            &[
                (";; more items", "(table $t 1 funcref)"),
                (";; in process", "(loop $more (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $more))"),
            ],
        ),
        Attack::component(
            "stack-bomb-without-memory",
            &[
                (";; in process", "(return (call $again (local.get 0) (local.get 1)))"),
                ("(func (export \"process\")", "(func $again (export \"process\")"),
            ],
        ),
        Attack::component("answer-outside-of-memory", &[(";; in describe", "(return (i32.const 0x7ffffff0))")]),
        Attack::component("answer-that-is-not-aligned", &[(";; in describe", "(return (i32.const 1129))")]),
        Attack::component("string-longer-than-memory", &[(";; in describe", "(i32.store (i32.const 1132) (i32.const 0x7fffffff))")]),
        Attack::component("name-that-is-not-utf-8", &[(";; in describe", "(i32.store8 (i32.load (i32.const 1128)) (i32.const 0xff))")]),
        Attack::component("encoding-that-does-not-exist", &[(";; in describe", "(i32.store8 (i32.const 1152) (i32.const 9))")]),
        Attack::component(
            "lists-that-claim-more-than-they-hold",
            &[(";; in process", "(i32.store (i32.const 1304) (i32.const 0x0fffffff))")],
        ),
        Attack::component(
            "a-million-lists-of-the-same-bytes",
            &[("(memory (export \"memory\") 2)", "(memory (export \"memory\") 100)"), (";; in process", "MANYLISTS")],
        ),
        Attack::component("result-that-is-neither", &[(";; in process", "(i32.store8 (i32.const 1296) (i32.const 2))")]),
        Attack::component(
            "realloc-outside-of-memory",
            &[("(i32.const 65536))\n    (func (export \"describe\")", "(i32.const -8))\n    (func (export \"describe\")")],
        ),
        Attack::component("loop-in-realloc", &[("(local $end i32)", "(local $end i32) (loop $for-ever (br $for-ever))")]),
        Attack::component("newer-contract", &[("wasmill:plugin/transform@0.1.0\"", "wasmill:plugin/transform@0.2.0\"")]),
        Attack::component("older-contract", &[("wasmill:plugin/transform@0.1.0\"", "wasmill:plugin/transform@0.0.9\"")]),
        Attack::component("exports-something-else", &[("wasmill:plugin/transform@0.1.0\"", "acme:tools/hammer@1.0.0\"")]),
        Attack::component("contract-with-other-types", &[("(field \"port\" u32)", "(field \"port\" u64)")]),
        Attack::component(
            "imports-an-unknown-interface",
            &[(
                "(component\n  (core module",
                "(component\n  (import \"acme:secrets/keys@1.0.0\" (instance (export \"read\" (func (result string)))))\n  (core module",
            )],
        ),
        Attack::component(
            "imports-a-future-wasi",
            &[("(component\n  (core module", "(component\n  (import \"wasi:http/handler@0.3.0\" (instance))\n  (core module")],
        ),
        Attack::component(
            "imports-a-bare-function",
            &[("(component\n  (core module", "(component\n  (import \"gift\" (func))\n  (core module")],
        ),
    ]
}
