//! The kinds of errors of columns and of the formats of files.

wasmill_error::codes! {
    BATCH_TOO_LARGE = "column/batch-too-large",
        "The values of one column in one batch come to more than 2 GiB, which is the most that a column of Arrow holds.",
        "Reduce `batch_rows`.";
    MISFIT = "column/misfit",
        "A value or a column of a file that was written with a schema does not fit that schema: the file is damaged or was replaced.",
        "Restore the file. If its writer works like that, declare the column with another type.";
    MISSING = "column/missing",
        "The pipeline asks for a column that the file does not have, or that its header does not name.",
        "Use one of the names that the message lists, or leave the column out of `schema`.";
    RAW = "column/raw",
        "`format: raw` passes values on as they are, in one nullable column `value`, and the `schema` asks for others.",
        "Declare `schema: { value: binary }` or `text`, or use another format.";
    TWICE = "column/twice",
        "The header of a CSV file names a column twice, so that it is not clear which one is meant.",
        "Rename one of them in the file, or pick the columns that you need with `columns`.";
    UNSUPPORTED_TYPE = "column/unsupported-type",
        "A column has a type that can't be read or converted, such as a union, an interval or a 256-bit decimal.",
        "Leave the column out of `schema`, or let its writer convert it to text or a number.";
    COMPRESSED_TWICE = "file/compressed-twice",
        "`compression` is set for Parquet, whose pages are compressed inside. Readers do not unpack such a file.",
        "Leave `compression` out.";
    NOT_WRITTEN = "file/not-written",
        "A file can't be written to its end: no space, no permission, or a failing disk.",
        "Free space or correct the permissions, then start again. The run resumes behind its last checkpoint.";
    ZSTD_LEVEL = "file/zstd-level",
        "The compression level is outside the range of zstd.",
        "Use a level from 1 to 22.";
}
