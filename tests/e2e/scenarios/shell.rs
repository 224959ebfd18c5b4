//! A shell that runs the commands of a page as a reader does: block after block, with what was started in the background beside them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// No block takes longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running shell. What it started in the background ends with it.
pub struct Shell {
    child: Child,
    stdin: Option<ChildStdin>,
    folder: PathBuf,
    blocks: usize,
}

impl Shell {
    /// Starts one that keeps its notes in a folder. The command says where it runs, and with which environment.
    pub fn start(mut command: Command, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin, folder: folder.to_path_buf(), blocks: 0 }
    }

    /// Runs commands, and waits until they have ended. The first that fails ends the shell and the test.
    pub fn run(&mut self, commands: &str) {
        self.blocks += 1;
        let (script, done) = (self.folder.join(format!("{}.sh", self.blocks)), self.folder.join(format!("{}.done", self.blocks)));
        std::fs::write(&script, commands).unwrap();
        // A command that read the shell's own input would swallow the next block.
        let lines = format!(". '{}' < /dev/null\n: > '{}'\n", script.display(), done.display());
        let written = self.stdin.as_mut().unwrap().write_all(lines.as_bytes());
        let deadline = Instant::now() + PATIENCE;
        while !done.exists() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && written.is_ok(), "{ended:?}:\n{commands}\n{}", self.printed());
            assert!(Instant::now() < deadline, "it has not ended after {PATIENCE:?}:\n{commands}\n{}", self.printed());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Everything that was printed so far, on standard output and standard error.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("log")).unwrap()).into_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
