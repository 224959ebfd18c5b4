//! Cuts files into splits, and continues those that an earlier run began.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use wasmill_engine::{Error, Mode, Progress, Result, Retired, Split};

use wasmill_reading::damage::damage;
use wasmill_reading::naming::{name_of, path_of};
use wasmill_reading::{
    Content, HEAD_BYTES, Identity, OnBadFile, PIECE_BYTES, Part, Position, ReadContext, SPLIT_BYTES, changed, kind, row_groups,
};

use super::record;
use wasmill_engine::codes::STATE_OF_OTHER_SOURCE;
use wasmill_formats::{Compression, Format};
use wasmill_reading::codes::{UNREADABLE, VANISHED};

/// The last file of a batch has this many bytes at its end cut into pieces.
const TAIL_BYTES: u64 = 4 * SPLIT_BYTES;

/// What the listings of this run have found.
#[derive(Default)]
pub struct Found {
    /// What is to be read, until it is taken.
    pub splits: Vec<Split>,
    /// How many bytes there were to read when they were listed, counted as readers count them:
    /// before decompression, and only the columns that are read.
    pub bytes: u64,
}

impl Found {
    fn push(&mut self, split: Split, bytes: u64) {
        self.splits.push(split);
        self.bytes += bytes;
    }
}

/// A file that was listed in this run.
pub struct Known {
    /// As it was at the last listing that found new splits.
    identity: Identity,
    /// Its size at the last listing.
    size: u64,
    /// Where the next split begins, once the file is that long. `None` if it is not read by lines.
    next: Option<u64>,
}

/// The entries of one file in a checkpoint: positions of splits, and whether they were done.
pub type Entries = BTreeMap<Part, BegunPart>;

/// A part of a file that an earlier run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunPart {
    /// How far it was read.
    pub position: Position,
    /// Whether it was read to its end.
    pub is_done: bool,
}

/// The splits of one file that were begun: by their entries, or by the records of those without
/// entries.
pub struct Begun<'a> {
    pub entries: Entries,
    pub retired: Option<&'a Retired>,
}

/// The name of a split. Each ends in its part, so no file's name can look like another's split.
pub fn name(path: &Path, part: Part) -> String {
    match part {
        Part::Whole => format!("{}@all", name_of(path)),
        Part::From(start) => format!("{}@{start}", name_of(path)),
        Part::Piece(start) => format!("{}@piece{start}", name_of(path)),
        Part::RowGroup(group) => format!("{}@group{group}", name_of(path)),
    }
}

/// The file and the part that a split's name names.
///
/// # Errors
/// Environment: it is not a name of this source.
pub fn parse_name(name: &str) -> Result<(PathBuf, Part)> {
    let part = |part: &str| {
        if part == "all" {
            Some(Part::Whole)
        } else if let Some(group) = part.strip_prefix("group") {
            Some(Part::RowGroup(group.parse().ok()?))
        } else if let Some(start) = part.strip_prefix("piece") {
            Some(Part::Piece(start.parse().ok()?))
        } else {
            Some(Part::From(part.parse().ok()?))
        }
    };
    name.rsplit_once('@').and_then(|(path, suffix)| Some((path_of(path), part(suffix)?))).ok_or_else(|| {
        Error::environment(format!("{name:?} in the checkpoint is not a split of files"))
            .code(STATE_OF_OTHER_SOURCE)
            .hint("has the source been replaced by one of another kind?")
    })
}

/// A checkpoint's splits by file.
///
/// # Errors
/// Environment: the checkpoint is of another source.
pub fn by_file(progress: &Progress) -> Result<BTreeMap<PathBuf, Entries>> {
    let mut files: BTreeMap<PathBuf, Entries> = BTreeMap::new();
    for (id, state) in progress {
        let (path, part) = parse_name(id)?;
        let position = Position::from_value(&state.position).map_err(|error| error.at(format!("split {id}")))?;
        files.entry(path).or_default().insert(part, BegunPart { position, is_done: state.done });
    }
    Ok(files)
}

/// A file of a listing.
#[derive(Clone, Copy)]
pub struct Listed<'a> {
    pub path: &'a Path,
    /// No other file is read after it.
    pub is_last: bool,
}

/// Adds the splits of a file that are to be read and have not been returned in this run.
pub fn of_file(
    context: &ReadContext,
    Listed { path, is_last }: Listed<'_>,
    begun: &Begun<'_>,
    known: &mut HashMap<PathBuf, Known>,
    found: &mut Found,
) -> Result<()> {
    let next = match known.get_mut(path) {
        Some(known) => {
            let size = std::fs::metadata(path)
                .map_err(|error| Error::io(format_args!("read {}", path.display()), error).or_code(UNREADABLE))?
                .len();
            let Some(next) = known.next else {
                return unchanged_size(path, size, known.identity.size);
            };
            if size < known.identity.size {
                return Err(changed(path, &format!("it had {} bytes and has {size}", known.identity.size)));
            }
            // What the last split has grown by; the splits behind it are counted when they are cut.
            found.bytes += size.min(next).saturating_sub(known.size);
            known.size = size;
            if size <= next {
                return Ok(());
            }
            next
        }
        None => 0,
    };
    let (file, identity) = Identity::open(path)?;
    if let Some(known) = known.get(path)
        && !known.identity.is_start_of(&file, path)?
    {
        return Err(changed(path, "its beginning differs"));
    }
    let cut = Cut { context, path, is_last, file: &file, identity: &identity, begun };
    let next = match cut.way(next)? {
        Way::None => return Ok(()),
        Way::Lines => Some(cut.by_lines(next, found)?),
        Way::Whole => {
            cut.whole_or_groups(found)?;
            None
        }
    };
    known.insert(path.to_owned(), Known { size: identity.size, identity, next });
    Ok(())
}

fn unchanged_size(path: &Path, size: u64, before: u64) -> Result<()> {
    if size == before {
        return Ok(());
    }
    Err(changed(path, &format!("it had {before} bytes and has {size}, and only plain files that are read by lines may grow")))
}

/// A missing file that is in a checkpoint.
pub fn check_vanished(path: &Path, begun: &Entries) -> Result<()> {
    for (part, BegunPart { position, is_done }) in begun {
        // A followed file is never done, but may have been read to its end.
        let read_up = part.lines().is_some() && position.offset >= position.file.size;
        if !is_done && !read_up {
            return Err(Error::environment(format!(
                "{} has been read up to {} of {} bytes and is missing",
                path.display(),
                position.offset,
                position.file.size
            ))
            .code(VANISHED)
            .hint("put the file back until it has been read, or `wasmill state reset` to drop the progress"));
        }
    }
    Ok(())
}

/// The parts as which the lines from `start` on may have been begun: a split, or the pieces up to the split's end.
fn lines_of(start: u64) -> impl Iterator<Item = Part> {
    let end = (start + 1).next_multiple_of(SPLIT_BYTES);
    std::iter::once(Part::From(start)).chain((start..end).step_by(PIECE_BYTES as usize).map(Part::Piece))
}

struct Cut<'a> {
    context: &'a ReadContext,
    path: &'a Path,
    is_last: bool,
    file: &'a File,
    identity: &'a Identity,
    begun: &'a Begun<'a>,
}

/// How a file is read.
enum Way {
    /// Not yet: there is nothing in it.
    None,
    /// By lines.
    Lines,
    /// Whole, or by row groups.
    Whole,
}

impl Cut<'_> {
    /// How the file is read, of which `known` bytes have been cut in this run.
    ///
    /// # Errors
    /// Environment: it is of another kind than its name.
    fn way(&self, known: u64) -> Result<Way> {
        let config = &self.context.options;
        // What a name does not decide, its reader reports by the content.
        let lines = config.by_lines(self.path).unwrap_or_default();
        let was_begun = |part: Part| self.begun(part).is_some();
        // A skipped file was read whole, whatever its name.
        if known == 0 && was_begun(Part::Whole) {
            return Ok(Way::Whole);
        }
        if known > 0 || !self.begun.entries.is_empty() || was_begun(Part::RowGroup(0)) || lines_of(0).any(was_begun) {
            return Ok(if lines { Way::Lines } else { Way::Whole });
        }
        let content = self.content()?;
        let format = kind::format_of(config, self.path, &content).and_then(|format| match format {
            Format::Parquet => Ok(format),
            text => kind::check(config, self.path, &content).map(|()| text),
        });
        let format = match format {
            Err(error) if config.on_bad_file == OnBadFile::SetAside && damage(&error).is_some() => return Ok(Way::Whole),
            format => format?,
        };
        if lines && format != Format::Csv {
            return Ok(Way::Lines);
        }
        if self.identity.size == 0 || (config.compression_of(self.path) == Compression::None && !self.has_begun(format, lines)?) {
            return Ok(Way::None);
        }
        Ok(if lines { Way::Lines } else { Way::Whole })
    }

    /// Whether a plain file has something to read: CSV its header, JSON anything but white space. What is still empty is waited for, by a
    /// stream or by the next run.
    fn has_begun(&self, format: Format, lines: bool) -> Result<bool> {
        if self.identity.size > HEAD_BYTES || format == Format::Parquet {
            return Ok(true);
        }
        let mut head = vec![0; self.identity.size as usize];
        self.file
            .read_exact_at(&mut head, 0)
            .map_err(|error| Error::io(format_args!("read {}", self.path.display()), error).or_code(UNREADABLE))?;
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        Ok(match (format, text.iter().position(|byte| !is_line_end(byte))) {
            (_, None) => false,
            // Of a growing file, the whole line of the header must be there.
            (Format::Csv, Some(first)) => !(lines && self.context.mode == Mode::Stream) || text[first..].contains(&b'\n'),
            _ => !text.iter().all(u8::is_ascii_whitespace),
        })
    }

    fn split(&self, part: Part, offset: u64, ended: bool) -> Split {
        let position = Position { offset, file: self.identity.clone(), ended };
        Split { id: name(self.path, part).into(), position: position.to_value() }
    }

    /// How far a part was read, if it was begun.
    fn begun(&self, part: Part) -> Option<BegunPart> {
        let entry = self.begun.entries.get(&part).cloned();
        entry.or_else(|| record::find(self.begun.retired?, &name(self.path, part)))
    }

    fn content(&self) -> Result<Content> {
        let copy =
            self.file.try_clone().map_err(|error| Error::io(format_args!("read {}", self.path.display()), error).or_code(UNREADABLE))?;
        Ok(Content::File(copy))
    }

    /// Adds the splits from `start` on; returns where the one after them begins.
    fn by_lines(&self, start: u64, found: &mut Found) -> Result<u64> {
        let check = |position: &Position| match position.file.is_start_of(self.file, self.path)? {
            true => Ok(()),
            false => Err(changed(self.path, "it is shorter, or its beginning differs")),
        };
        self.begun.entries.values().try_for_each(|begun| check(&begun.position))?;
        let follows = self.context.mode == Mode::Stream;
        let size = self.identity.size;
        let mut start = start;
        // An empty file is followed too.
        while start < size || (follows && start == 0) {
            let part = if self.in_pieces(start) { Part::Piece(start) } else { Part::From(start) };
            let Some(Range { end, .. }) = part.lines() else { break };
            let left = |offset: u64| size.min(end).saturating_sub(offset);
            match self.begun(part) {
                None => found.push(self.split(part, start, false), left(start)),
                Some(BegunPart { position, .. }) => {
                    check(&position)?;
                    if position.offset < size {
                        self.check_seam(&position)?;
                    }
                    if position.offset < size.min(end) || (follows && size < end) {
                        found.push(self.split(part, position.offset, false), left(position.offset));
                    }
                }
            }
            start = end;
        }
        // A split behind the end was read when the file was longer.
        lines_of(start).filter_map(|part| self.begun(part)).try_for_each(|begun| check(&begun.position))?;
        Ok(start)
    }

    /// Whether what begins at `start` is cut into pieces. What was begun stays as it was cut then.
    fn in_pieces(&self, start: u64) -> bool {
        if !start.is_multiple_of(SPLIT_BYTES) || lines_of(start).skip(1).any(|piece| self.begun(piece).is_some()) {
            return true;
        }
        let size = self.identity.size;
        let is_tail = self.is_last && size > PIECE_BYTES && size.saturating_sub(start) <= TAIL_BYTES;
        self.context.mode == Mode::Batch && is_tail && self.begun(Part::From(start)).is_none()
    }

    /// Where a file has grown, the last record must have ended, or end now: else bytes were
    /// appended to it.
    fn check_seam(&self, position: &Position) -> Result<()> {
        if position.offset == 0 || position.offset != position.file.size {
            return Ok(());
        }
        let mut seam = [0; 2];
        self.file
            .read_exact_at(&mut seam, position.offset - 1)
            .map_err(|error| Error::io(format_args!("read {}", self.path.display()), error).or_code(UNREADABLE))?;
        if seam[0] == b'\n' || matches!(seam[1], b'\n' | b'\r') {
            return Ok(());
        }
        Err(changed(self.path, "its last line had no line feed and was read as whole, and bytes have been added to it"))
    }

    fn whole_or_groups(&self, found: &mut Found) -> Result<()> {
        let check = |position: &Position| {
            if position.file == *self.identity {
                return Ok(());
            }
            unchanged_size(self.path, self.identity.size, position.file.size)?;
            Err(changed(self.path, "its beginning differs"))
        };
        self.begun.entries.values().try_for_each(|begun| check(&begun.position))?;
        // A file that no longer has this format was changed, and is not read.
        [Part::Whole, Part::RowGroup(0)].into_iter().filter_map(|part| self.begun(part)).try_for_each(|begun| check(&begun.position))?;
        let parts: Vec<(Part, u64)> = match self.context.options.format_of(self.path) {
            Ok(Format::Parquet) => {
                match row_groups(&self.content()?, self.path, &self.context.schema) {
                    Ok(groups) => (0..).map(Part::RowGroup).zip(groups).collect(),
                    // Its reader meets the damage again, and skips it.
                    Err(error) if self.context.options.on_bad_file == OnBadFile::SetAside && damage(&error).is_some() => {
                        vec![(Part::Whole, self.identity.size)]
                    }
                    Err(error) => return Err(error),
                }
            }
            _ => vec![(Part::Whole, self.identity.size)],
        };
        // How much of a part is left is not known from a position in it, which counts rows or
        // unpacked bytes: all of it is counted.
        for (part, bytes) in parts {
            match self.begun(part) {
                Some(BegunPart { is_done: true, .. }) => {}
                Some(BegunPart { position, is_done: false }) => found.push(self.split(part, position.offset, position.ended), bytes),
                None => found.push(self.split(part, 0, false), bytes),
            }
        }
        Ok(())
    }
}
