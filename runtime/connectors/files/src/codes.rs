//! The kinds of errors that only local files have.

wasmill_engine::codes! {
    COMMIT_LOCKED = "files/commit-locked",
        "Another process holds the lock of the sink's folder for longer than a commit takes: it was paused or hangs during one.",
        "Let that process continue or end it, then start again.";
    NAME_TAKEN = "files/name-taken",
        "A file with the name of one that is to be published exists already and holds something else. The sink never replaces a file.",
        "Move that file away and start again.";
    NO_MATCH = "files/no-match",
        "No file matches `path`. A relative path starts at the folder in which `wasmill` was started.",
        "Correct the path. `allow_empty: true` lets a batch run without files.";
    NO_PATH = "files/no-path",
        "`path` is empty.",
        "Name files for a source (`path: data/*.jsonl`) and a folder for a sink (`path: out/rows`).";
    NOT_LOCAL = "files/not-local",
        "`path` is an address with a scheme such as `s3://`, and this connector reads and writes files of this machine.",
        "Write a path, or use the connector of that scheme: `s3: { uri: … }`.";
    OTHER_FILES = "files/other-files",
        "The folder of a sink with `write: overwrite` holds files that its last run did not write. A reader of the folder would take their rows for results.",
        "Move them away, or let the sink write into a folder that only it has.";
    PATTERN = "files/pattern",
        "`path` is not a pattern that can be matched: a bracket without its partner, or `**` within a name.",
        "Correct it: `*` matches any part of a name, `**` for any folders, and `[*]` for a literal `*`.";
}
