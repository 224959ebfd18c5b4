//! The kinds of errors of tables of files.

wasmill_engine::codes! {
    PARTITION_BY = "sink/partition-by",
        "`partition_by` names a column that the sink does not get, one of a type that can't name folders, one twice, or every column.",
        "Name columns of text, boolean, whole numbers or dates, and leave at least one column for the files.";
}
