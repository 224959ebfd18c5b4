//! The kinds of errors of keyed stages.

wasmill_error::codes! {
    COLUMN_TWICE = "keyed/column-twice",
        "Two columns of a stage's output have one name: a column of both sides of a join, or a result that is called like a key.",
        "Rename or drop one of them in a stage before, or give the result another name.";
    EVENT_TIME_TYPE = "keyed/event-time-type",
        "The column that windows take their time from holds no timestamps.",
        "Name a column of type `timestamp` or `date`, or convert it in a `select` before the stage.";
    KEY_TYPE = "keyed/key-type",
        "A key column has a type whose values do not compare as equal reliably, such as a float, or that holds other values, such as a list.",
        "Convert the column to an integer, a decimal or a text in a `select` before the stage.";
    ROWS_PER_KEY = "keyed/rows-per-key",
        "A stage computes several results, and one of them gives several rows for a key, or none: they can't be rows of one table.",
        "Give that computation a stage of its own, and join the results by their key if they belong together.";
    RUN_DAMAGED = "keyed/run-damaged",
        "A file with the state of a keyed stage does not hold what was written into it: it was changed, cut short, swapped with another, or written by a newer Wasmill.",
        "Restore it from a backup, or run the newer version. `wasmill state drop-stage` gives the stage's state up.";
    STATE_TYPE = "keyed/state-type",
        "An aggregate keeps its state in a column whose type cannot be written into a run.",
        "Keep that state as integers, decimals, floats, texts, binaries, times, or as lists, maps and structs of them.";
    WINDOW = "keyed/window",
        "The sizes of a window do not fit together, or are not positive.",
        "Choose a positive size, and for sliding windows an `every` that is not larger than the size.";
}
