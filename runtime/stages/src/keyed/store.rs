//! Where runs lie: in files without a name while an epoch is open, in the depot once they are state.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;
use wasmill_engine::codes::{PREPARED_FILE_DAMAGED, PREPARED_FILE_GONE};
use wasmill_engine::{Depot, DepotFile, DepotKey, DepotWriter, Error, Result, STATE_FOLDER};
use wasmill_keyed::codes::RUN_DAMAGED;
use wasmill_keyed::run::{LocalFile, RunFile, RunFileWriter, RunStore};

/// Runs that no other process will need.
pub struct Scratch(pub Arc<dyn Depot>);

impl RunStore for Scratch {
    fn create(&self) -> Result<Box<dyn RunFileWriter>> {
        Ok(Box::new(ScratchWriter(self.0.scratch()?)))
    }
}

struct ScratchWriter(File);

impl Write for ScratchWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl RunFileWriter for ScratchWriter {
    fn finish(self: Box<Self>) -> Result<Arc<dyn RunFile>> {
        opened("a temporary file".to_owned(), self.0)
    }
}

fn opened(name: String, file: File) -> Result<Arc<dyn RunFile>> {
    let file = LocalFile::new(name.clone(), file).map_err(|error| Error::io(format_args!("read {name}"), error))?;
    Ok(Arc::new(file))
}

/// Runs that become state: files of the depot. What is written is also kept in a file without a name, from which it is read: a
/// file of a bucket can't be read before it is sealed.
pub struct StateFiles {
    depot: Arc<dyn Depot>,
    incarnation: Uuid,
    epoch: AtomicU64,
    written: Arc<Mutex<HashMap<String, DepotFile>>>,
}

impl StateFiles {
    pub fn new(depot: Arc<dyn Depot>, incarnation: Uuid, epoch: u64) -> Self {
        Self { depot, incarnation, epoch: epoch.into(), written: Arc::default() }
    }

    /// Files belong to the next epoch from now on.
    pub fn begin_next_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// The file of a run that was written, by its name.
    pub fn take_written(&self, name: &str) -> Result<DepotFile> {
        self.written.lock().remove(name).ok_or_else(|| Error::bug(format!("the file {name} of a run was not written by this lane")))
    }

    /// Removes a file that no checkpoint will name.
    pub fn discard(&self, file: &DepotFile) -> Result<()> {
        self.depot.remove(std::slice::from_ref(&file.name))
    }

    /// Opens a file of an earlier epoch.
    pub fn open(&self, file: &DepotFile) -> Result<Arc<dyn RunFile>> {
        open_in(&*self.depot, file)
    }

    /// The same, after its bytes have been compared with its digest: the whole file is read.
    pub fn open_verified(&self, file: &DepotFile) -> Result<Arc<dyn RunFile>> {
        read_whole(&*self.depot, file)?;
        self.open(file)
    }
}

/// A file of a state, of the length that the checkpoint says.
pub(super) fn open_in(depot: &dyn Depot, file: &DepotFile) -> Result<Arc<dyn RunFile>> {
    let found = depot.open_at_random(file).map_err(|error| of_state(depot, file, error))?;
    opened(depot.shown(&file.name), found)
}

/// Reads a file of a state to its end, so that its length and its digest are compared with what the checkpoint says.
pub(super) fn read_whole(depot: &dyn Depot, file: &DepotFile) -> Result<()> {
    let read = |mut content: Box<dyn Read + Send>| {
        io::copy(&mut content, &mut io::sink())
            .map_err(|error| Error::io(format_args!("read the file {} of the state", depot.shown(&file.name)), error))
    };
    depot.open(file).and_then(read).map(drop).map_err(|error| of_state(depot, file, error))
}

/// What a depot says of a file is about what a sink has prepared: the same about a file of a state.
fn of_state(depot: &dyn Depot, file: &DepotFile, error: Error) -> Error {
    match error.kind() {
        Some(code) if [PREPARED_FILE_DAMAGED, PREPARED_FILE_GONE].contains(&code) => {
            let what = if code == PREPARED_FILE_GONE { "is gone" } else { "is not what was written" };
            Error::environment(format!("the file {} of the state {what}", depot.shown(&file.name)))
                .code(RUN_DAMAGED)
                .detail(error.message().to_owned())
                .hint("restore it from a backup; `wasmill state drop-stage` gives the stage's state up")
        }
        _ => error,
    }
}

impl RunStore for StateFiles {
    fn create(&self) -> Result<Box<dyn RunFileWriter>> {
        let key = DepotKey { folder: STATE_FOLDER, incarnation: self.incarnation, epoch: self.epoch.load(Ordering::Relaxed), kind: "run" };
        let (kept, copy) = (self.depot.create(&key)?, self.depot.scratch()?);
        Ok(Box::new(StateWriter { kept, copy, at: 0, written: Arc::clone(&self.written) }))
    }
}

struct StateWriter {
    kept: Box<dyn DepotWriter>,
    copy: File,
    at: u64,
    written: Arc<Mutex<HashMap<String, DepotFile>>>,
}

impl Write for StateWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.kept.write(bytes)?;
        self.copy.write_all_at(&bytes[..written], self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.kept.flush()
    }
}

impl RunFileWriter for StateWriter {
    fn finish(self: Box<Self>) -> Result<Arc<dyn RunFile>> {
        let file = self.kept.finish()?;
        let name = file.name.clone();
        self.written.lock().insert(name.clone(), file);
        opened(name, self.copy)
    }
}
