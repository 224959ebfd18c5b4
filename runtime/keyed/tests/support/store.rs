//! A store of runs in memory.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use wasmill_keyed::Result;
use wasmill_keyed::run::{BytesFile, RunFile, RunFileWriter, RunStore};

/// A store that keeps files in memory, in the order in which they were finished.
#[derive(Default, Clone)]
pub struct MemoryStore {
    pub files: Arc<Mutex<Vec<Arc<[u8]>>>>,
}

struct MemoryWriter {
    bytes: Vec<u8>,
    store: MemoryStore,
}

impl RunStore for MemoryStore {
    fn create(&self) -> Result<Box<dyn RunFileWriter>> {
        Ok(Box::new(MemoryWriter { bytes: Vec::new(), store: self.clone() }))
    }
}

impl Write for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RunFileWriter for MemoryWriter {
    fn finish(self: Box<Self>) -> Result<Arc<dyn RunFile>> {
        let mut files = self.store.files.lock().unwrap();
        files.push(self.bytes.into());
        let content = Arc::clone(files.last().unwrap());
        Ok(Arc::new(BytesFile::new(format!("run-{}", files.len()), content)))
    }
}
