//! The kinds of errors that only the emulator has.

wasmill_engine::codes! {
    CHANGED = "emulator/changed",
        "The table, `seed`, `dirt` or the version of Wasmill differs from that of the checkpoint, so that the rows behind it would be others.",
        "Change it back, or start over with `wasmill state reset`.";
    DIRT = "emulator/dirt",
        "A share under `dirt` is not between 0 and 1, or demands more repeats than can be generated.",
        "Use a share in the range that the message gives.";
    NO_FILES = "emulator/no-files",
        "The rows are to be spread over 0 files.",
        "Use at least 1 file.";
    RATE = "emulator/rate",
        "`rate` is not a number of rows per second above 0.",
        "Use a number such as `rate: 100`, or leave it out for as many as this machine can.";
    ROWS_MISSING = "emulator/rows-missing",
        "Without `rows` the emulator never ends, and a batch or a file needs an end.",
        "Set `rows`, or run with `mode: stream`.";
    TABLE = "emulator/table",
        "No table, or one that the emulator lacks, is to be emulated.",
        "Use `pin`, `geo` or `user`.";
}
