//! Points at which tests kill or stop the process, to prove that every moment of an epoch can be the last one.
//!
//! They exist only in builds with the feature `failpoints`; elsewhere [`hit`] is empty. The
//! environment variable `FAILPOINTS` sets the action of each, in the syntax of the crate `fail`:
//!
//! ```text
//! FAILPOINTS='delta-commit-before-log=3*off->return(kill);files-commit-before-token=return(stop)'
//! ```
//!
//! | action | effect |
//! |---|---|
//! | `return(kill)` | the process gets SIGKILL: nothing is flushed, no destructor runs |
//! | `return(stop)` | the process gets SIGSTOP, and continues from here after SIGCONT |
//! | `sleep(ms)`, `panic`, `3*off->…` | as `fail` documents them |

/// Does nothing: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &str) {}

/// Runs the action that `FAILPOINTS` sets for this name.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    static CONFIGURED: std::sync::Once = std::sync::Once::new();
    CONFIGURED.call_once(configure);
    fail::eval(name, |action| act(name, action.as_deref()));
}

#[cfg(feature = "failpoints")]
fn configure() {
    let Ok(points) = std::env::var("FAILPOINTS") else { return };
    for point in points.split(';').map(str::trim).filter(|point| !point.is_empty()) {
        let configured = match point.split_once('=') {
            Some((name, actions)) => fail::cfg(name.trim(), actions.trim()),
            None => Err("expected name=action".to_owned()),
        };
        if let Err(error) = configured {
            // A crash test whose crash never comes would pass for the wrong reason.
            eprintln!("FAILPOINTS: {point}: {error}");
            std::process::abort();
        }
    }
}

#[cfg(feature = "failpoints")]
fn act(name: &str, action: Option<&str>) {
    use rustix::process::{Signal, getpid, kill_process};
    let signal = match action {
        Some("kill") => Signal::KILL,
        Some("stop") => Signal::STOP,
        other => {
            eprintln!("FAILPOINTS: {name}: return({}) is neither return(kill) nor return(stop)", other.unwrap_or_default());
            std::process::abort();
        }
    };
    // The crash test must find the signal at exactly this point in the log, whatever the process
    // still buffers.
    eprintln!("failpoint {name}: {signal:?}");
    if kill_process(getpid(), signal).is_err() {
        std::process::abort();
    }
    // Another thread may handle the signal first: this one must not continue before it is stopped
    // too.
    std::thread::sleep(std::time::Duration::from_millis(100));
}
