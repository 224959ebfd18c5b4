//! The result of examining the places of a pipeline before anything runs: whether servers respond,
//! accept the credentials and permit what a run does. Examining changes nothing.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;
use wasmill_engine::Error;

use crate::codes::{CLOCK, FOLDER_NOT_WRITABLE};

/// Clocks that differ by more are worth a word.
const SKEW_WORTH_A_WORD: Duration = Duration::from_secs(30);
/// AWS rejects signatures that are older than 15 minutes; shortly before that, little is left for
/// retries.
const SKEW_TOO_LARGE: Duration = Duration::from_secs(300);
/// Less free space than this is worth a word.
const LITTLE_SPACE: u64 = 1 << 30;

/// One examined property.
#[derive(Debug)]
pub enum Finding {
    /// It is as a run needs it.
    Good(String),
    /// A run would begin; something may fail later.
    Doubt {
        /// What is doubtful.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A run would fail.
    Bad(Error),
}

impl Finding {
    /// Something that is as a run needs it.
    pub fn good(what: impl Into<String>) -> Self {
        Self::Good(what.into())
    }

    /// Something doubtful, and what to do.
    pub fn doubt(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Doubt { what: what.into(), hint: hint.into() }
    }
}

/// How far a server's clock is from this machine's. `spread` is the duration of the request, which
/// bounds the precision of the comparison.
pub fn clock(server: SystemTime, ours: SystemTime, spread: Duration) -> Finding {
    let (apart, side) = match server.duration_since(ours) {
        Ok(ahead) => (ahead, "behind"),
        Err(error) => (error.duration(), "ahead of"),
    };
    let apart = apart.saturating_sub(spread);
    let shown = humantime::format_duration(Duration::from_secs(apart.as_secs()));
    let what = format!("this machine's clock is {shown} {side} the server's");
    let hint = "synchronise the clock (NTP): signed requests are rejected when it is 15 minutes off";
    match apart {
        _ if apart > SKEW_TOO_LARGE => Finding::Bad(Error::environment(what).code(CLOCK).hint(hint)),
        _ if apart > SKEW_WORTH_A_WORD => Finding::doubt(what, hint),
        _ => Finding::good("the clocks agree"),
    }
}

/// Whether files can be created in a folder, which need not exist, and how much space it has.
pub fn folder_to_write(folder: &Path) -> Vec<Finding> {
    let there = folder.ancestors().find(|path| path.exists()).filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let shown = folder.display();
    if !there.is_dir() {
        return vec![Finding::Bad(
            Error::environment(format!("{} is a file, not a folder", there.display()))
                .code(FOLDER_NOT_WRITABLE)
                .hint("choose another place"),
        )];
    }
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => {}
        Err(Errno::ROFS) => {
            let error =
                Error::environment(format!("{} lies on a file system that is read-only", there.display())).code(FOLDER_NOT_WRITABLE);
            return vec![Finding::Bad(error.hint("mount it for writing, or choose another place"))];
        }
        Err(error) => {
            let error = Error::environment(format!("cannot write into {}: {error}", there.display())).code(FOLDER_NOT_WRITABLE);
            return vec![Finding::Bad(error.hint("the user of this process needs the permission to write there"))];
        }
    }
    match statvfs(there) {
        Ok(stat) => vec![space(&shown.to_string(), stat.f_bavail.saturating_mul(stat.f_frsize))],
        Err(error) => vec![Finding::doubt(format!("the free space of {shown} is unknown: {error}"), "check the mount")],
    }
}

fn space(folder: &str, free: u64) -> Finding {
    let shown = bytesize::ByteSize(free).display().iec();
    if free < LITTLE_SPACE {
        return Finding::doubt(
            format!("{folder} has only {shown} left"),
            "a full disk stops the run; nothing is lost, and the next one resumes",
        );
    }
    Finding::good(format!("{folder} can be written, {shown} free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_reported() {
        let now = SystemTime::now();
        let second = Duration::from_secs(1);
        assert!(matches!(clock(now + 20 * second, now, Duration::ZERO), Finding::Good(_)));
        assert!(matches!(clock(now + 40 * second, now, 15 * second), Finding::Good(_)), "a slow response is less precise");
        let Finding::Doubt { what, .. } = clock(now + 60 * second, now, Duration::ZERO) else { panic!() };
        assert_eq!(what, "this machine's clock is 1m behind the server's");
        let Finding::Bad(error) = clock(now - 400 * second, now, Duration::ZERO) else { panic!() };
        assert!(error.message().contains("6m 40s ahead of"), "{error}");
    }

    #[test]
    fn a_folder_that_can_be_made_is_fine_and_one_that_can_not_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!matches!(folder_to_write(&folder.path().join("a/b"))[..], [Finding::Bad(_)]));
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let [Finding::Bad(error)] = &folder_to_write(&file.join("a"))[..] else { panic!() };
        assert!(error.message().contains("is a file"), "{error}");
        assert!(matches!(space("out", 1 << 20), Finding::Doubt { .. }));
    }
}
