//! The kinds of errors that only the console has.

wasmill_engine::codes! {
    COLUMN = "console/column",
        "A column has a type that can't be written as text in a table.",
        "Drop the column in a stage before the console, or convert it.";
    ROWS = "console/rows",
        "`rows` is more rows per epoch than a console displays.",
        "Use fewer, or the sink `files` to keep all rows.";
}
