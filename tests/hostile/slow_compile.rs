//! A component that takes long to compile, and a host whose compiling child is this test program itself.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use wasmill_host::{COMPILE_REFUSED_STATUS, CompileWith, Host, HostError, compile_child};

use crate::support::small_limits;

/// How long the child may take.
const TIMEOUT: Duration = Duration::from_millis(700);

/// Made once: one function with a great many values alive at once and branches between them: hard work for a register allocator.
///
/// It would take most of a minute. No test waits for that: if it compiled within [`TIMEOUT`], the attack `minutes-to-compile` would get
/// another answer.
pub fn component() -> &'static [u8] {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    COMPONENT.get_or_init(make)
}

fn make() -> Vec<u8> {
    const VALUES: usize = 3000;
    const BLOCKS: usize = 40_000;
    let mut body = String::new();
    for value in 0..VALUES {
        let _ = write!(body, "(local $v{value} i64)");
    }
    for block in 0..BLOCKS {
        let (a, b, c) = (block % VALUES, (block * 7919) % VALUES, (block * 104_729 + 1) % VALUES);
        let _ = write!(
            body,
            "(if (i64.eqz (local.get $v{a})) (then (local.set $v{b} (i64.add (local.get $v{c}) (local.get $v{a})))) \
             (else (local.set $v{c} (i64.mul (local.get $v{b}) (i64.const {block})))))"
        );
    }
    let module = format!("(component (core module (func (export \"f\") {body})))");
    wat::parse_str(module).expect("the component is well-formed")
}

/// A host that compiles in a child.
pub fn host() -> Host {
    let args = ["--exact", "slow_compile::the_compiling_child", "--ignored", "--nocapture"].map(Into::into).to_vec();
    Host::builder()
        .compile_with(CompileWith::Child { program: std::env::current_exe().expect("this program has a path"), args })
        .compile_timeout(TIMEOUT)
        .load_limits(small_limits())
        .build()
        .expect("a host")
}

/// Not a test: what the host starts as its compiling child. The last two arguments are the plugin and the file to write.
#[test]
#[ignore = "only the host starts it"]
fn the_compiling_child() {
    let args: Vec<String> = std::env::args().collect();
    let [.., wasm, output] = args.as_slice() else { panic!("no paths") };
    if let Err(error) = compile_child(Path::new(wasm), Path::new(output)) {
        eprintln!("{error}");
        let refused = matches!(error, HostError::NotAPlugin { .. });
        std::process::exit(if refused { COMPILE_REFUSED_STATUS } else { 1 });
    }
}

#[test]
fn a_good_plugin_compiles_in_a_child() {
    let host = Host::builder()
        .compile_with(CompileWith::Child {
            program: std::env::current_exe().unwrap(),
            args: ["--exact", "slow_compile::the_compiling_child", "--ignored", "--nocapture"].map(Into::into).to_vec(),
        })
        .build()
        .unwrap();
    assert_eq!(host.load_bytes("pass_on.wat", &crate::components::changed(&[])).unwrap().description().name, "pass-on");
    let error = host.load_bytes("bad.wasm", b"\0asm\x0d\0\x01\0garbage").unwrap_err();
    assert!(matches!(error, HostError::NotAPlugin { .. }), "{error:?}");
    assert!(error.to_string().starts_with("bad.wasm is not a plugin that can run here: it is not a valid component"), "{error}");
}

/// A host whose compiling child is a shell script; the paths of plugin and output are its arguments.
fn scripted(script: &str) -> Host {
    let args = ["-c", script].map(Into::into).to_vec();
    Host::builder().compile_with(CompileWith::Child { program: "/bin/sh".into(), args }).build().unwrap()
}

/// What only the child's end tells is the machine's business: nothing says that the plugin did it.
#[test]
fn a_child_that_fails_by_itself_is_not_the_plugin_s_fault() {
    let plugin = crate::components::changed(&[]);
    for (script, expected) in [
        ("kill -KILL $$", "the process that compiles p.wasm failed (signal: 9 (SIGKILL)). It ran out of memory, or was killed."),
        (
            "echo 'memory allocation of 8589934592 bytes failed' >&2; kill -ABRT $$",
            "the process that compiles p.wasm failed (signal: 6 (SIGABRT)): memory allocation of 8589934592 bytes failed. It ran out of memory",
        ),
        (
            "echo 'cannot write plugin.cwasm: no space left' >&2; exit 5",
            "the process that compiles p.wasm failed (exit status: 5): cannot write",
        ),
        ("exit 101", "the process that compiles p.wasm failed (exit status: 101)"),
    ] {
        let error = scripted(script).load_bytes("p.wasm", &plugin).unwrap_err();
        assert!(matches!(error, HostError::Environment { .. }), "{script}: {error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let error = scripted("kill -XCPU $$").load_bytes("p.wasm", &plugin).unwrap_err();
    assert!(matches!(error, HostError::NotAPlugin { .. }), "{error:?}");
    assert!(error.to_string().ends_with("compiling it takes more than 300 s of processor time"), "{error}");
}

/// The real compiler under a limit of memory that it can't do with.
#[test]
fn a_child_without_memory_is_not_the_plugin_s_fault() {
    let itself = std::env::current_exe().unwrap();
    let script = format!(
        "ulimit -v 300000; exec '{}' --exact slow_compile::the_compiling_child --ignored --nocapture --test-threads=1 \"$0\" \"$1\"",
        itself.display()
    );
    let error = scripted(&script).load_bytes("slow.wasm", component()).unwrap_err();
    assert!(matches!(error, HostError::Environment { .. }), "{error:?}");
    assert!(error.to_string().contains("ran out of memory") || error.to_string().contains("allocate"), "{error}");
}
