//! The kinds of errors of files that are read, wherever their bytes lie.

wasmill_engine::codes! {
    CHANGED = "file/changed",
        "A file that was read in part is not the one in the checkpoint: its size, its head or its parts differ.",
        "Restore the original file, and give new content a new name. `wasmill state reset` drops the progress and starts over.";
    CSV_OPTIONS = "file/csv-options",
        "The delimiter or the quote of `csv` is not one ASCII character, or both are the same.",
        "Use two different ASCII characters, such as `delimiter: \";\"` and `quote: \"'\"`.";
    DAMAGED = "file/damaged",
        "The content of a file can't be decoded: it is truncated, still being written, or not of the format or compression of its name.",
        "Correct the file, or set `format` and `compression`. `on_bad_file: set_aside` notes such files in the dead letters and reads the others.";
    FORMAT_UNKNOWN = "file/format-unknown",
        "The name of a file has no extension of a known format.",
        "Set `format: jsonl`, `json`, `csv` or `parquet`.";
    UNREADABLE = "file/unreadable",
        "A file can't be opened or read: it was removed, this user lacks the permission, or the disk fails.",
        "Check the path and its permissions, then start again. The run resumes behind its last checkpoint.";
    VANISHED = "file/vanished",
        "A file or object was read in part when the last run ended, and is no longer there.",
        "Put it back until it has been read. `wasmill state reset` drops the progress and starts over.";
    NEW_COLUMNS = "source/new-columns",
        "A file has columns that the sample lacked. A run normally adds up to 1,000 of them to a sink with \
            `schema_evolution: add_columns`; this one could not.",
        "List the columns of the source in `schema`. If there are thousands of names, declare the value that holds them as `json` or `text`.";
}
