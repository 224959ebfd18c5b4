//! The kinds of errors that only the source `http` has.

wasmill_engine::codes! {
    FOLDER = "http/folder",
        "The state of the pipeline lies in a bucket, and a log of requests needs a disk.",
        "Name a folder of this machine for the log: `folder: /var/lib/wasmill/http`.";
    LISTENERS_DIFFER = "http/listeners-differ",
        "Two sources of a pipeline listen at the same address with different `server`, `auth`, `prefix` or `rate`.",
        "Write the same into both, or give each its own port.";
    LOG_DAMAGED = "http/log-damaged",
        "A file of the log of requests is not as it was written: a disk fault, or another program.",
        "Restore the folder of the log. If that is impossible, remove it and start over with `wasmill state reset`: requests that were not read are lost.";
    LOG_IN_USE = "http/log-in-use",
        "Another process has the log of requests.",
        "Stop it, or give this pipeline another `folder`.";
    LOG_LOST = "http/log-lost",
        "The log of requests is not the one that the checkpoint has read, or lacks records of it: its folder was removed or replaced.",
        "Restore the folder. If that is impossible, start over with `wasmill state reset`: requests that were not read are lost.";
    NAME = "http/name",
        "A name can't be a part of a path, or two sources have it at one address.",
        "Use letters, digits, `.`, `_` and `-`, and each name once.";
}
