//! A child process whose every wait is bounded.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// No run of these tests takes longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A process that runs, with its output read by threads.
pub struct Running {
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// A process that ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Running {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let read = |pipe: &mut dyn Read| {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self { child, stdout: std::thread::spawn(move || read(&mut out)), stderr: std::thread::spawn(move || read(&mut err)) }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it ends by itself, at most so long. False: it still runs.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Runs to its end and answers the most memory that it held, in MiB.
    pub fn peak_memory(&mut self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        let mut peak = 0;
        while !self.ends_within(Duration::from_millis(20)) {
            assert!(Instant::now() < deadline, "it still runs after {PATIENCE:?}");
            // The last look may come too late: then the one before counts.
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
            peak = peak.max(kib.unwrap_or_default() / 1024);
        }
        peak
    }

    /// Waits until it has stopped itself with SIGSTOP.
    pub fn wait_until_stopped(&self) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some((_, status)) = waitpid(Some(self.pid()), WaitOptions::UNTRACED | WaitOptions::NOHANG).unwrap() {
                assert!(status.stopped(), "it ended instead of stopping: {status:?}");
                return;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        panic!("it did not stop within {PATIENCE:?}");
    }

    /// Waits for the end and collects what it printed.
    pub fn wait(mut self) -> Ended {
        if !self.ends_within(PATIENCE) {
            let _ = self.child.kill();
            let _ = self.child.wait();
            panic!("it still ran after {PATIENCE:?}: {}", self.stderr.join().unwrap());
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout: self.stdout.join().unwrap(), stderr: self.stderr.join().unwrap() }
    }

    /// Ends it with SIGKILL, if it still runs.
    pub fn kill(mut self) -> Ended {
        let _ = self.child.kill();
        self.wait()
    }
}
