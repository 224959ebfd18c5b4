//! The process of an attempt. It holds the lock of its job while it lives, even when its scheduler is gone.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal};
use wasmill_engine::codes::DISK;
use wasmill_engine::{Error, Result};

use crate::codes::JOB_IS_RUNNING;

/// So many logs of a job are kept.
const KEPT_LOGS: usize = 50;

/// A process of a job.
#[derive(Debug)]
pub(crate) enum Process {
    /// A child of this process. Its standard input is the file of the lock: the kernel keeps a lock while any process has its file open.
    Own {
        /// The child.
        child: Child,
        /// Ours, which is closed once the child has ended.
        _lock: File,
    },
    /// A child of a scheduler that is gone: it lives as long as its job is locked.
    Orphan {
        /// The file of the lock, which the orphan holds.
        lock: File,
        /// Its number, if it was noted.
        pid: Option<Pid>,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With an exit status.
    Status(u8),
    /// By a signal.
    Signal(i32),
    /// Nobody was there to see.
    Unseen,
}

/// What to start.
pub(crate) struct Launch<'a> {
    /// The program.
    pub binary: &'a Path,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// Variables beside those of this process.
    pub environment: &'a [(&'a str, &'a OsStr)],
    /// The file for what it prints.
    pub log: &'a Path,
}

/// The folder of a job: its lock, and the logs of its attempts.
pub(crate) struct JobFolder(PathBuf);

impl JobFolder {
    /// That of a job, created if need be.
    pub fn of(schedule: &Path, job: &str) -> Result<Self> {
        let folder = schedule.join("jobs").join(job);
        fs::create_dir_all(&folder)
            .map_err(|error| Error::io(format_args!("create the folder {}", folder.display()), error).or_code(DISK))?;
        Ok(Self(folder))
    }

    fn open_lock(&self) -> Result<File> {
        let path = self.0.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        opened.map_err(|error| Error::io(format_args!("open {}", path.display()), error).or_code(DISK))
    }

    /// The process that an earlier scheduler has left behind; `None` if there is none.
    ///
    /// # Errors
    /// The lock can't be tried.
    pub fn orphan(&self) -> Result<Option<Process>> {
        let mut lock = self.open_lock()?;
        if is_free(&lock)? {
            return Ok(None);
        }
        let mut noted = String::new();
        let _ = lock.read_to_string(&mut noted);
        let pid = noted.trim().parse().ok().and_then(Pid::from_raw);
        Ok(Some(Process::Orphan { lock, pid }))
    }

    /// Starts a process under the job's lock.
    ///
    /// # Errors
    /// An earlier process lives still, or the program can't be started.
    pub fn start(&self, launch: &Launch<'_>) -> Result<Process> {
        if let Some(Process::Orphan { pid, .. }) = self.orphan()? {
            let which = pid.map(|pid| format!(" (process {})", pid.as_raw_nonzero())).unwrap_or_default();
            return Err(Error::environment(format!("a process{which} of an earlier run of the job still lives")).code(JOB_IS_RUNNING));
        }
        self.prune_logs();
        let mut lock = self.open_lock()?;
        let shown = launch.binary.display();
        let failed = |error: io::Error| Error::io(format_args!("start {shown}"), error);
        lock.try_lock().map_err(|error| failed(error.into()))?;
        let log = OpenOptions::new().append(true).create(true).open(launch.log);
        let log = log.map_err(|error| Error::io(format_args!("open {}", launch.log.display()), error).or_code(DISK))?;
        let child = Command::new(launch.binary)
            .args(launch.arguments)
            .envs(launch.environment.iter().copied())
            // The scheduler's own sign of life is none of the job's.
            .env_remove("WASMILL_HEARTBEAT")
            .stdin(lock.try_clone().map(Stdio::from).map_err(failed)?)
            .stdout(log.try_clone().map(Stdio::from).map_err(failed)?)
            .stderr(Stdio::from(log))
            // The terminal's Ctrl-C is for the scheduler, which passes one signal on: a second one would end the run at once.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        // Without the number an orphan can't be stopped, only waited for.
        let _ = lock.set_len(0).and_then(|()| lock.seek(SeekFrom::Start(0))).and_then(|_| write!(lock, "{}", child.id()));
        Ok(Process::Own { child, _lock: lock })
    }

    /// The path of the log of an attempt.
    pub fn log(&self, at: crate::Moment, attempt: u32) -> PathBuf {
        self.0.join(format!("{}-{attempt}.log", at.format("%Y%m%dT%H%M%S%.3fZ")))
    }

    /// Removes all logs but the newest. Best effort.
    fn prune_logs(&self) {
        let names = fs::read_dir(&self.0).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut logs: Vec<String> = names.filter(|name| name.ends_with(".log")).collect();
        // Their names begin with their times.
        logs.sort_unstable();
        let old = logs.len().saturating_sub(KEPT_LOGS - 1);
        for name in &logs[..old] {
            let _ = fs::remove_file(self.0.join(name));
        }
    }
}

fn is_free(lock: &File) -> Result<bool> {
    match lock.try_lock() {
        Ok(()) => {
            lock.unlock().map_err(|error| Error::io("release the lock of a job", error))?;
            Ok(true)
        }
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io("try the lock of a job", error)),
    }
}

impl Process {
    /// How it ended, if it has.
    ///
    /// # Errors
    /// The operating system does not tell.
    pub fn poll(&mut self) -> Result<Option<Exit>> {
        match self {
            Self::Own { child, .. } => {
                let ended = child.try_wait().map_err(|error| Error::io("wait for a process of a job", error))?;
                Ok(ended.map(|status| match (status.code(), status.signal()) {
                    (Some(code), _) => Exit::Status(u8::try_from(code).unwrap_or(u8::MAX)),
                    (None, signal) => Exit::Signal(signal.unwrap_or_default()),
                }))
            }
            Self::Orphan { lock, .. } => Ok(is_free(lock)?.then_some(Exit::Unseen)),
        }
    }

    /// Asks it to finish its epoch and end. It must not have been seen to have ended.
    pub fn terminate(&self) {
        match self {
            // Until it is waited for, its number is its own.
            Self::Own { child, .. } => {
                let _ = kill_process(Pid::from_child(child), Signal::TERM);
            }
            Self::Orphan { .. } => self.signal_orphan(Signal::TERM),
        }
    }

    /// Ends it at once, with what it has started. It must not have been seen to have ended.
    pub fn kill(&self) {
        match self {
            Self::Own { child, .. } => {
                let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            }
            Self::Orphan { .. } => self.signal_orphan(Signal::KILL),
        }
    }

    fn signal_orphan(&self, signal: Signal) {
        let Self::Orphan { lock, pid: Some(pid) } = self else { return };
        let Ok(handle) = pidfd_open(*pid, PidfdFlags::empty()) else { return };
        // While the job is locked the process lives, so the handle that was opened before is its own.
        if matches!(is_free(lock), Ok(false)) {
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn sh(script: &str) -> Vec<OsString> {
        vec!["-c".into(), script.into()]
    }

    fn start(folder: &Path, script: &str) -> (JobFolder, Process, PathBuf) {
        let job = JobFolder::of(folder, "load").unwrap();
        let log = job.log(crate::Moment::UNIX_EPOCH, 1);
        let arguments = sh(script);
        let launch = Launch { binary: Path::new("/bin/sh"), arguments: &arguments, environment: &[("DUE", OsStr::new("now"))], log: &log };
        let process = job.start(&launch).unwrap();
        (job, process, log)
    }

    fn end(process: &mut Process) -> Exit {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(exit) = process.poll().unwrap() {
                return exit;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_process_prints_into_its_log_and_leaves_its_status() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut process, log) = start(folder.path(), "echo out $DUE; echo err >&2; exit 5");
        assert_eq!(end(&mut process), Exit::Status(5));
        assert_eq!(fs::read_to_string(log).unwrap(), "out now\nerr\n");
        drop(process);
        let (_, mut process, _) = start(folder.path(), "kill -9 $$");
        assert_eq!(end(&mut process), Exit::Signal(9));
    }

    #[test]
    fn a_process_is_stopped_and_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut process, log) = start(folder.path(), "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.05; done");
        while !fs::read_to_string(&log).unwrap().contains("up") {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        process.terminate();
        assert_eq!(end(&mut process), Exit::Status(0));
        assert!(fs::read_to_string(log).unwrap().contains("asked"));
        drop(process);
        let (job, mut process, log) = start(folder.path(), "trap '' TERM; echo deaf; sleep 600 & wait");
        while !fs::read_to_string(&log).unwrap().contains("deaf") {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        process.terminate();
        process.kill();
        assert_eq!(end(&mut process), Exit::Signal(9));
        drop(process);
        let deadline = Instant::now() + Duration::from_secs(60);
        while job.orphan().unwrap().is_some() {
            assert!(Instant::now() < deadline, "what it started lives on");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_job_stays_locked_without_its_scheduler_and_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (job, process, _) = start(folder.path(), "exec sleep 600");
        let Process::Own { mut child, _lock } = process else { panic!() };
        // The scheduler is gone: its file of the lock is closed.
        drop(_lock);
        let mut orphan = job.orphan().unwrap().expect("an orphan");
        assert_eq!(orphan.poll().unwrap(), None);
        let again = sh("true");
        let launch = Launch { binary: Path::new("/bin/sh"), arguments: &again, environment: &[], log: &folder.path().join("log") };
        let error = job.start(&launch).unwrap_err();
        assert!(error.message().contains(&format!("process {}", child.id())), "{error}");
        orphan.terminate();
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert_eq!(end(&mut orphan), Exit::Unseen);
        assert!(job.orphan().unwrap().is_none());
    }

    #[test]
    fn old_logs_go() {
        let folder = tempfile::tempdir().unwrap();
        let job = JobFolder::of(folder.path(), "load").unwrap();
        for second in 0..KEPT_LOGS as i64 + 20 {
            fs::write(job.log(crate::Moment::from_timestamp(second, 0).unwrap(), 1), "x").unwrap();
        }
        job.prune_logs();
        assert_eq!(fs::read_dir(&job.0).unwrap().count(), KEPT_LOGS - 1);
        assert!(job.log(crate::Moment::from_timestamp(KEPT_LOGS as i64 + 19, 0).unwrap(), 1).exists());
    }
}
