//! The folders of a pattern's objects, and which of them a stream lists for new ones.
//!
//! Keys of one folder mostly grow; those of several folders do not grow together. So each folder is
//! listed separately, after its known entries.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// Entries per step. A folder is listed from one to two steps before its greatest known entry,
/// which is less than a page of a list. So keys that arrive a little out of order are found too.
const STEP: u32 = 250;
/// The folders that grew last, which are listed at every poll. Their parents are listed too, for
/// new folders.
const MAX_ASKED: usize = 256;
/// How many entries one request lists, unless a test sets it.
pub(super) const PAGE: u16 = 1_000;

/// The known folders below a place.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    /// The place: empty, or a prefix that ends with a slash.
    root: String,
    known: BTreeMap<String, Folder>,
    /// The objects of all of them.
    objects: usize,
    /// How many entries one request lists.
    page: u16,
}

#[derive(Debug, Clone, Default)]
struct Folder {
    /// Where to list from; `None`: from its beginning.
    after: Option<String>,
    /// When the latest object directly in it was put.
    newest: Option<SystemTime>,
    pass: Pass,
}

/// The entries of a folder that were seen since a list of it began, in the order of their names.
#[derive(Debug, Clone, Default)]
struct Pass {
    entries: u32,
    /// The last two entries that end a step.
    steps: [Option<String>; 2],
}

impl Pass {
    fn entry(&mut self, name: &str) {
        self.entries += 1;
        if self.entries.is_multiple_of(STEP) {
            let [_, last] = std::mem::take(&mut self.steps);
            self.steps = [last, Some(name.to_owned())];
        }
    }
}

/// One folder to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) folder: String,
    pub(super) after: Option<String>,
}

impl Folders {
    /// The folders below a prefix of whole parts, of which one request lists this many entries.
    pub(super) fn below(prefix: &str, page: u16) -> Self {
        let trimmed = prefix.trim_end_matches('/');
        let root = if trimmed.is_empty() { String::new() } else { format!("{trimmed}/") };
        Self { root, known: BTreeMap::new(), objects: 0, page: page.max(1) }
    }

    /// The same place, without any known folders.
    pub(super) fn forgotten(&self) -> Self {
        Self::below(&self.root, self.page)
    }

    pub(super) fn page(&self) -> u16 {
        self.page
    }

    /// Notes an object of a list of everything below a folder, in the order of keys.
    pub(super) fn object(&mut self, key: &str, modified: SystemTime) {
        let folder = folder_of(key);
        self.folder(folder);
        self.note(folder, key, modified);
        self.objects += 1;
    }

    /// Records the result of listing one folder, in the order of names. Returns its folders that
    /// were unknown before.
    pub(super) fn listed<'n>(
        &mut self,
        folder: &str,
        objects: &[(&str, SystemTime)],
        folders: impl Iterator<Item = &'n str>,
    ) -> Vec<String> {
        let folders: BTreeSet<&str> = folders.collect();
        let new: Vec<String> = folders.iter().filter(|name| !self.known.contains_key(**name)).map(|name| (*name).to_owned()).collect();
        for name in &new {
            // What is new may get its first object soon.
            self.known.insert(name.clone(), Folder { newest: Some(SystemTime::now()), ..Folder::default() });
        }
        let times: BTreeMap<&str, SystemTime> = objects.iter().copied().collect();
        let names: BTreeSet<&str> = times.keys().copied().chain(folders).collect();
        for name in names {
            match times.get(name) {
                Some(modified) => self.note(folder, name, *modified),
                None => self.known.entry(folder.to_owned()).or_default().pass.entry(name),
            }
        }
        new
    }

    fn note(&mut self, folder: &str, key: &str, modified: SystemTime) {
        let known = self.known.entry(folder.to_owned()).or_default();
        known.pass.entry(key);
        known.newest = known.newest.max(Some(modified));
    }

    /// Adds a folder and its parents, each as an entry of its parent.
    fn folder(&mut self, folder: &str) {
        if self.known.contains_key(folder) {
            return;
        }
        self.known.insert(folder.to_owned(), Folder::default());
        if folder.len() > self.root.len() {
            let above = folder_of(&folder[..folder.len() - 1]);
            self.folder(above);
            self.known.entry(above.to_owned()).or_default().pass.entry(folder);
        }
    }

    /// Ends the lists that have been noted.
    pub(super) fn settle(&mut self) {
        for folder in self.known.values_mut() {
            let Pass { steps: [before, _], .. } = std::mem::take(&mut folder.pass);
            folder.after = before.or(folder.after.take());
        }
    }

    /// The folders to list for new entries; none if a list of everything takes no more requests.
    pub(super) fn asks(&self) -> Option<Vec<Ask>> {
        let mut grown: Vec<(Reverse<SystemTime>, &str)> =
            self.known.iter().filter_map(|(name, folder)| Some((Reverse(folder.newest?), name.as_str()))).collect();
        grown.sort_unstable();
        let mut asked = BTreeSet::from([self.root.as_str()]);
        for (_, name) in grown.into_iter().take(MAX_ASKED) {
            let mut name = name;
            while name.len() > self.root.len() && asked.insert(name) {
                name = folder_of(&name[..name.len() - 1]);
            }
        }
        let ask = |name: &str| Ask { folder: name.to_owned(), after: self.known.get(name).and_then(|folder| folder.after.clone()) };
        (asked.len() <= self.objects / usize::from(self.page)).then(|| asked.into_iter().map(ask).collect())
    }
}

/// The folder that a key lies in, with its slash.
fn folder_of(key: &str) -> &str {
    &key[..key.rfind('/').map_or(0, |slash| slash + 1)]
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn time(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// `partitions` folders with this many objects each.
    fn partitions(partitions: usize, objects: usize) -> Folders {
        let mut folders = Folders::below("raw", PAGE);
        for partition in 0..partitions {
            (0..objects).for_each(|object| folders.object(&format!("raw/p={partition:03}/{object:09}.json"), time(object as u64)));
        }
        folders.settle();
        folders
    }

    #[test]
    fn each_folder_is_asked_a_little_before_its_end_and_the_one_above_for_new_ones() {
        let asks = partitions(100, 2_100).asks().unwrap();
        assert_eq!(asks.len(), 101);
        assert_eq!(asks[0], Ask { folder: "raw/".into(), after: None });
        assert_eq!(asks[7], Ask { folder: "raw/p=006/".into(), after: Some("raw/p=006/000001749.json".into()) });
    }

    #[test]
    fn everything_is_listed_where_that_takes_no_more_requests() {
        assert_eq!(partitions(100, 100).asks(), None);
        assert_eq!(Folders::below("", PAGE).asks(), None, "nothing is known");
        assert_eq!(partitions(1, 1_999).asks(), None);
        assert_eq!(partitions(1, 2_000).asks().unwrap().len(), 2);
    }

    #[test]
    fn a_folder_is_asked_further_on_as_it_grows_and_never_further_back() {
        let mut folders = partitions(1, 3_000);
        let after = |folders: &Folders| folders.asks().unwrap()[1].after.clone().unwrap();
        assert_eq!(after(&folders), "raw/p=000/000002749.json");
        let grow = |folders: &mut Folders, keys: std::ops::Range<u64>| {
            let keys: Vec<String> = keys.map(|object| format!("raw/p=000/{object:09}.json")).collect();
            let objects: Vec<(&str, SystemTime)> = keys.iter().map(|key| (key.as_str(), time(1))).collect();
            assert!(folders.listed("raw/p=000/", &objects, std::iter::empty()).is_empty());
            folders.settle();
        };
        grow(&mut folders, 2_750..3_200);
        assert_eq!(after(&folders), "raw/p=000/000002749.json", "less than two steps are behind it");
        grow(&mut folders, 2_750..3_300);
        assert_eq!(after(&folders), "raw/p=000/000002999.json");
    }

    #[test]
    fn the_folders_that_grew_last_are_asked_and_new_ones_are_reported_once() {
        let mut folders = Folders::below("raw/", PAGE);
        for day in 0..400 {
            (0..1_000).for_each(|object| folders.object(&format!("raw/day={day:03}/{object:04}"), time(day)));
        }
        folders.settle();
        let asks = folders.asks().unwrap();
        assert_eq!((asks.len(), asks[1].folder.as_str()), (MAX_ASKED + 1, "raw/day=144/"));
        let new = folders.listed("raw/", &[], ["raw/day=399/", "raw/day=400/"].into_iter());
        assert_eq!(new, ["raw/day=400/"]);
        folders.settle();
        assert!(folders.asks().unwrap().iter().any(|ask| ask.folder == "raw/day=400/"), "it may get objects soon");
        assert!(folders.listed("raw/", &[], ["raw/day=400/"].into_iter()).is_empty());
    }
}
