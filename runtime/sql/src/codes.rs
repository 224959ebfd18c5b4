//! The kinds of errors of SQL that stop a run.

wasmill_error::codes! {
    NO_RESULT = "sql/no-result",
        "A column of an aggregate has no value for a group: a sum is larger than its type, or the expression around the aggregates fails.",
        "Sum decimals: `sum(CAST(x AS DECIMAL(38, 0)))`. Compute with results in a `select` behind the aggregate, which rejects single rows.";
    RESULT_TOO_LARGE = "sql/result-too-large",
        "The results of an aggregate pass the 2 GiB that the texts or list items of one batch may have.",
        "Aggregate less in one group or at once: shorter windows, more keys.";
}
