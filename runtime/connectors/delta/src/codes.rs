//! The kinds of errors that only Delta tables have.

wasmill_engine::codes! {
    ADDRESS = "delta/address",
        "`uri` is empty, names no local path, has a scheme other than `file` and `s3`, or has a `connection` that it does not need.",
        "Write a path, a `file://` URL, or `s3://bucket/prefix` with its `connection`.";
    COLUMN_MISSING = "delta/column-missing",
        "A later version of the table lacks a column that the pipeline reads.",
        "Take the column out of the pipeline, or restore it in the table. The run resumes at that version.";
    COMPARISON = "delta/comparison",
        "`wasmill diff` can't compare the tables: a column that its arguments name is not there, or values of one can't be compared.",
        "Name columns that both tables have. `--ignore` leaves others out.";
    CONFLICT = "delta/conflict",
        "Other writers committed to the table so often that every attempt found its version taken.",
        "Run the command again when the table is less busy. A pipeline resumes with the commit that it could not place.";
    DAMAGED = "delta/damaged",
        "The table's log or one of its files does not hold what it should: it was cut short, replaced or written wrong.",
        "Restore the file that the message names, or an older version of the table.";
    FEATURES = "delta/features",
        "The table uses features of the Delta protocol that this command or sink does not support, and ignoring them could damage it.",
        "Write into another table, or recreate this one without those features.";
    FILE_GONE = "delta/file-gone",
        "A version of the table needs a file that was removed, most often by a vacuum that keeps files for too short a time.",
        "Let vacuums keep files for longer than a reader needs, and start over with a newer version.";
    FILE_TAKEN = "delta/file-taken",
        "A file that is to become a part of the table exists already with another size: another program wrote it.",
        "Restore the file, or move it away. Nothing was removed.";
    KEY = "delta/key",
        "`write: upsert` has no `key`, or `key` stands without it, names a column twice, one that the sink does not receive, or one of floats, lists or structs.",
        "Name columns that identify a row, `write: upsert, key: [id]`, or remove `key`.";
    LOG_EXPIRED = "delta/log-expired",
        "The log entry of the next version was cleaned up before the pipeline read it, so its changes are unknown.",
        "Start over with `wasmill state reset`, into emptied sinks. Raise `delta.logRetentionDuration` above the longest pause of the pipeline.";
    NO_TABLE = "delta/no-table",
        "The address has no folder `_delta_log`, so there is no Delta table.",
        "Name the folder or prefix in which `_delta_log` lies.";
    ONLY_VALUE = "delta/only-value",
        "`${table:delta:…#column}` names a table that has no such column of texts, no row, more than one, or a null.",
        "Name a column of texts in a table of exactly one row.";
    OTHER_TABLE = "delta/other-table",
        "The table has another id than the one that was read: it was removed and created again. Its versions are other rows.",
        "Put the table back, or start over with `wasmill state reset`.";
    ROWS_CHANGED = "delta/rows-changed",
        "A version of the table removes or changes rows that may have been read already, and a stream only follows rows that are added.",
        "`on_change: ignore` passes over such versions. Otherwise start over with `wasmill state reset`, into emptied sinks.";
    SCHEMA_DIFFERS = "delta/schema-differs",
        "The table has other columns or types than the pipeline writes, and the sink may not change it.",
        "Change the stage before the sink, write into another table, or let it grow with `schema_evolution: add_columns`.";
    UNREADABLE = "delta/unreadable",
        "The table, or one of its versions or files, can't be read: a permission, a damaged file, or a feature that the reader lacks.",
        "Follow the message, which ends with the Delta reader's own error. `wasmill doctor` shows whether the place can be read.";
    UNSUPPORTED_COLUMNS = "delta/unsupported-columns",
        "The sink gets columns with types or names that a Delta table can't hold, or `partition_by` does not fit them.",
        "Convert, rename or drop them in a stage before the sink.";
    VACUUM_TOO_SHORT = "delta/vacuum-too-short",
        "The vacuum would remove files so young that writers and readers may still use them.",
        "Keep at least 1h. Force it only where no program uses the table.";
    VERSION = "delta/version",
        "The requested version can't be read: it does not exist yet, lies before what was read, or `timestamp` names none.",
        "Name another `version` or `timestamp`, only one of them, or none.";
    WRITE = "delta/write",
        "A data file of the table can't be written to its end.",
        "Follow the message: free space, or correct the permissions. The run resumes behind its last checkpoint.";
}
