//! The attacks: a name, and what the host is made to do. What comes back is the host's answer in text.

use std::path::Path;

use serde_json::{Value, json};
use wasmill_host::{Host, HostError, Limits, Plugin};

use crate::components;
use crate::memory::peak_bytes;
use crate::support::{echo_with, guest_in_mode, input, input_schema, opened, plugin, policy, small_limits, stopping};
use crate::{aggregates, columns, slow_compile, tables};

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
    pub fn new(name: &'static str, run: impl Fn(&Shared) -> String + Send + Sync + 'static) -> Self {
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

pub fn processed_by(plugin: &Plugin, config: &Value, limits: &Limits) -> String {
    let mut instance = match opened(plugin, config, input_schema(), limits.clone(), stopping()).and_then(|transform| transform.instance()) {
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
pub fn answer_of(error: &HostError) -> String {
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
    attacks.extend(columns::attacks());
    attacks.extend(aggregates::attacks());
    attacks.extend(words());
    attacks.extend(world());
    attacks.extend(rows());
    attacks.extend(files());
    attacks.extend(component_attacks());
    attacks.extend(names());
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
    ]
}

/// It fails on every batch, and on a row alone answers with all that an answer may have.
fn whole_answers_for_parts() -> String {
    let mut config = echo_with(tables::many_ports_of_repeated_rows(1));
    crate::support::merge(&mut config, json!({ "alone": "pin " }));
    let transform = opened(&plugin(), &config, input_schema(), small_limits(), policy()).unwrap();
    let mut instance = transform.instance().unwrap();
    match instance.process(&input(10)) {
        Ok(processed) => format!("{} rows", processed.outputs[0].records.num_rows()),
        Err(error) => answer_of(&error),
    }
}

/// 4 MiB a call against a limit of 32 MiB: the instance is renewed again and again, and never dies.
fn slow_leak() -> String {
    let config = echo_with(json!({ "process": "leak:4194304" }));
    let transform = opened(&plugin(), &config, input_schema(), small_limits(), policy()).unwrap();
    let mut instance = transform.instance().unwrap();
    let (mut rows, mut rejects) = (0, 0);
    for _ in 0..20 {
        let processed = instance.process(&input(10)).unwrap();
        rows += processed.outputs.iter().map(|output| output.records.num_rows()).sum::<usize>();
        rejects += processed.rejects.len();
    }
    let stats = instance.stats();
    format!("{rows} rows out, {rejects} rejects, {} faults, renewed: {}", stats.faults, stats.renewals > 0)
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
        Attack::process("no-table-where-columns-are-computed", json!({ "outputs": [{}] })),
        Attack::process(
            "trap-after-half-the-output",
            json!({ "process": "panic:half way", "when": "pin 5 of", "outputs": [{ "columns": echo() }] }),
        ),
    ]
}

/// Names beside the contract's records: unknown ones are ignored, unless they have to be understood.
fn names() -> Vec<Attack> {
    let beside = |name, record: &str, extra: &str| Attack::process(name, json!({ "extra": [record, extra] }));
    let rejecting = json!({ "extra": ["reject", "!new"], "outputs": [], "rejects": [{ "row": 1, "code": "bad" }] });
    vec![
        Attack::mode("unknown-name-in-its-description", "extra=new"),
        Attack::mode("marked-name-in-its-description", "extra=!new"),
        beside("unknown-name-beside-an-answer", "answer", "new"),
        beside("marked-name-beside-needs", "needs", "!new"),
        beside("marked-name-beside-a-port", "port", "!new"),
        beside("marked-name-beside-what-is-opened", "opened", "!new"),
        beside("marked-name-beside-an-output", "output", "!new"),
        beside("marked-name-beside-an-answer", "answer", "!new\u{1b}[31m"),
        Attack::process("marked-name-beside-a-reject", rejecting),
        Attack::process("marked-name-beside-a-refusal", json!({ "extra": ["refusal", "!new"], "process": "refuse:no more" })),
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
    const PACKAGE: &str = "package wasmill:plugin@0.2.0;";
    const EXPORTS: &str = "  import logging;\n  export about;\n  export transform;";
    vec![
        Attack::component("loop-in-initialisation", &[(";; more items", "(func $start (loop $for-ever (br $for-ever))) (start $start)")]),
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
            &[(
                ";; in process",
                "(return (call $process (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)
                  (local.get 7)))",
            )],
        ),
        Attack::component("answer-outside-of-memory", &[(";; in describe", "(return (i32.const 0x7ffffff0))")]),
        Attack::component("answer-that-is-not-aligned", &[(";; in describe", "(return (i32.const 1105))")]),
        Attack::component("string-longer-than-memory", &[(";; in describe", "(i32.store (i32.const 1108) (i32.const 0x7fffffff))")]),
        Attack::component("name-that-is-not-utf-8", &[(";; in describe", "(i32.store8 (i32.load (i32.const 1104)) (i32.const 0xff))")]),
        Attack::component("encoding-that-does-not-exist", &[(";; in describe", "(i32.store8 (i32.const 1128) (i32.const 9))")]),
        Attack::component(
            "lists-that-claim-more-than-they-hold",
            &[(";; in process", "(i32.store (i32.const 1432) (i32.const 0x0fffffff))")],
        ),
        Attack::component(
            "a-million-lists-of-the-same-bytes",
            &[("(memory (export \"memory\") 2)", "(memory (export \"memory\") 100)"), (";; in process", components::MANY_TABLES)],
        ),
        Attack::component("result-that-is-neither", &[(";; in process", "(i32.store8 (i32.const 1424) (i32.const 2))")]),
        Attack::component("realloc-outside-of-memory", &[(";; in realloc", "(return (i32.const -8))")]),
        Attack::component("loop-in-realloc", &[(";; in realloc", "(loop $for-ever (br $for-ever))")]),
        Attack::component("newer-contract", &[("@0.2.0", "@0.3.0")]),
        Attack::component("older-contract", &[("0.2.0", "0.1.0")]),
        Attack::component(
            "exports-something-else",
            &[("wasmill:plugin@0.2.0", "acme:tools@1.0.0"), ("wasmill:plugin/", "acme:tools/"), ("@0.2.0#", "@1.0.0#")],
        ),
        Attack::component("exports-only-what-it-is", &[(EXPORTS, "export about;")]),
        Attack::component("contract-with-other-types", &[("    code: string,", "    code: u64,")]),
        Attack::component(
            "imports-an-unknown-interface",
            &[
                (PACKAGE, "package wasmill:plugin@0.2.0;\npackage acme:secrets@1.0.0 { interface keys { read: func(); } }"),
                (EXPORTS, "import acme:secrets/keys@1.0.0;\n  export about;\n  export transform;"),
                ("(module\n", "(module\n  (import \"acme:secrets/keys@1.0.0\" \"read\" (func))\n"),
            ],
        ),
        Attack::component(
            "imports-a-future-wasi",
            &[
                (PACKAGE, "package wasmill:plugin@0.2.0;\npackage wasi:http@0.3.0 { interface handler { ping: func(); } }"),
                (EXPORTS, "import wasi:http/handler@0.3.0;\n  export about;\n  export transform;"),
                ("(module\n", "(module\n  (import \"wasi:http/handler@0.3.0\" \"ping\" (func))\n"),
            ],
        ),
        Attack::component(
            "imports-a-bare-function",
            &[
                (EXPORTS, "import gift: func();\n  export about;\n  export transform;"),
                ("(module\n", "(module\n  (import \"$root\" \"gift\" (func))\n"),
            ],
        ),
    ]
}
