//! Files whose bytes go to the disk while more of them are written, so that little is left to wait for when they have to be durable.

use std::fs::File;
use std::io::{self, Write};

/// After how many bytes the disk is told to begin with them.
const STEP_BYTES: u64 = 1 << 20;

/// A file that is written from front to back and will be made durable once it is whole. The system alone would keep its bytes in memory for seconds, and
/// an epoch would wait for all of them at its end.
#[derive(Debug)]
pub(crate) struct WriteBehind {
    file: File,
    written: u64,
    /// Up to where the disk has been told.
    begun: u64,
}

impl WriteBehind {
    /// Takes an empty file.
    pub(crate) fn new(file: File) -> Self {
        Self { file, written: 0, begun: 0 }
    }

    /// How many bytes were written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }
}

impl Write for WriteBehind {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        if self.written - self.begun >= STEP_BYTES {
            begin(&self.file, self.begun, self.written - self.begun);
            self.begun = self.written;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Tells the disk to begin with some bytes, and does not wait for it. What goes wrong shows when the file is made durable.
#[cfg(target_os = "linux")]
fn begin(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return };
    // SAFETY: the descriptor is open as long as `file`, and the call touches no memory of ours.
    unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(not(target_os = "linux"))]
fn begin(_: &File, _: u64, _: u64) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let bytes: Vec<u8> = (0..3 * STEP_BYTES + 7).map(|index| (index % 251) as u8).collect();
        let mut behind = WriteBehind::new(file.reopen().unwrap());
        for chunk in bytes.chunks(100_000) {
            behind.write_all(chunk).unwrap();
        }
        assert_eq!(behind.written(), bytes.len() as u64);
        assert!(behind.written() - behind.begun < STEP_BYTES, "the disk has begun with nearly all of it");
        let mut read = Vec::new();
        io::Read::read_to_end(file.as_file_mut(), &mut read).unwrap();
        assert!(read == bytes);
    }
}
