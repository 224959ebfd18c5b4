//! The aggregate functions that are offered, and those that are known and refused.

/// An aggregate function as people read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregateDoc {
    /// Its name, and its other names.
    pub names: &'static [&'static str],
    /// How it is called.
    pub call: &'static str,
    /// The type of its result.
    pub result: &'static str,
    /// What it is, and how exact.
    pub about: &'static str,
    pub(super) function: Function,
}

/// What a call computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Count,
    CountIf,
    Sum,
    Mean,
    Least,
    Greatest,
    LeastBy,
    GreatestBy,
    And,
    Or,
    BitAnd,
    BitOr,
    BitXor,
    /// Of a sample or the population; and its root or not.
    Variance {
        sample: bool,
        root: bool,
    },
    /// Of a sample or the population.
    Covariance {
        sample: bool,
    },
    Correlation,
    Median,
    PercentileCont,
    PercentileDisc,
    Mode,
    Array,
    ApproxDistinct,
}

macro_rules! aggregates {
    ($([$($name:literal),*] $call:literal -> $result:literal, $about:literal, $function:expr;)*) => {
        /// All aggregate functions that are offered.
        pub const AGGREGATES: &[AggregateDoc] = &[$(
            AggregateDoc { names: &[$($name),*], call: $call, result: $result, about: $about, function: $function },
        )*];
    };
}

use Function::{Covariance, Variance};

aggregates! {
    ["count"] "count(*), count(x)" -> "`int64`", "Rows, or values that are not null. 0 where there are none.", Function::Count;
    ["count_if"] "count_if(condition)" -> "`int64`", "Rows for which the condition is true. 0 where there are none.", Function::CountIf;
    ["sum"] "sum(x)" -> "integers: `int64`, `uint64`; decimals: `decimal(38, s)`; floats: `float64`",
        "Exact for integers and decimals: a sum that does not fit stops the run. Floats round.", Function::Sum;
    ["avg", "mean"] "avg(x)" -> "integers and floats: `float64`; `decimal(p, s)`: a decimal with up to 4 more digits",
        "From the exact sum of integers and decimals, rounded once, half away from zero for decimals. Floats round.", Function::Mean;
    ["min"] "min(x)" -> "that of x", "Exact. NaN is above all other numbers. Texts are compared by their bytes.", Function::Least;
    ["max"] "max(x)" -> "that of x", "Exact. NaN is above all other numbers. Texts are compared by their bytes.", Function::Greatest;
    ["min_by", "arg_min"] "min_by(x, by)" -> "that of x", "The x of the row with the least `by`; of several, the least x. Rows with a null are left out.", Function::LeastBy;
    ["max_by", "arg_max"] "max_by(x, by)" -> "that of x", "The x of the row with the greatest `by`; of several, the greatest x. Rows with a null are left out.", Function::GreatestBy;
    ["bool_and", "every"] "bool_and(condition)" -> "`bool`", "Whether it is true for all values that are not null.", Function::And;
    ["bool_or"] "bool_or(condition)" -> "`bool`", "Whether it is true for some value.", Function::Or;
    ["bit_and"] "bit_and(x)" -> "that of x", "The bits that all integers have. Exact.", Function::BitAnd;
    ["bit_or"] "bit_or(x)" -> "that of x", "The bits that some integer has. Exact.", Function::BitOr;
    ["bit_xor"] "bit_xor(x)" -> "that of x", "The bits that an odd number of integers has. Exact.", Function::BitXor;
    ["median"] "median(x)" -> "integers and floats: `float64`; `decimal(p, s)`: `decimal(p + 1, s + 1)`",
        "The middle value, or the mean of the two in the middle. Exact, but for the rounding of that mean. Holds all values.", Function::Median;
    ["percentile_cont"] "percentile_cont(0.9) WITHIN GROUP (ORDER BY x)" -> "`float64`",
        "The value at a share of the sorted values, between two of them if need be. Integers become floats. Holds all values.", Function::PercentileCont;
    ["percentile_disc"] "percentile_disc(0.9) WITHIN GROUP (ORDER BY x)" -> "that of x",
        "The least value that is reached by a share of the sorted values. Exact. Holds all values.", Function::PercentileDisc;
    ["mode"] "mode(x)" -> "that of x", "The most frequent value; of several, the least. Exact. Holds all values.", Function::Mode;
    ["array_agg"] "array_agg(x)" -> "a list of x", "The values that are not null, sorted: the order of arrival is not the same in every run. Holds all values.", Function::Array;
    ["approx_distinct"] "approx_distinct(x)" -> "`int64`",
        "About as many as `count(DISTINCT x)`: 0.8% off as a standard error, nearly exact below 1,000. Holds at most 16 KiB per group.", Function::ApproxDistinct;
    ["var_samp", "variance", "var"] "var_samp(x)" -> "`float64`", "The variance of a sample; null of one value. Rounds.", Variance { sample: true, root: false };
    ["var_pop"] "var_pop(x)" -> "`float64`", "The variance of the population. Rounds.", Variance { sample: false, root: false };
    ["stddev_samp", "stddev"] "stddev_samp(x)" -> "`float64`", "The standard deviation of a sample; null of one value. Rounds.", Variance { sample: true, root: true };
    ["stddev_pop"] "stddev_pop(x)" -> "`float64`", "The standard deviation of the population. Rounds.", Variance { sample: false, root: true };
    ["covar_samp"] "covar_samp(y, x)" -> "`float64`", "The covariance of a sample; null of one pair. Rows with a null are left out. Rounds.", Covariance { sample: true };
    ["covar_pop"] "covar_pop(y, x)" -> "`float64`", "The covariance of the population. Rows with a null are left out. Rounds.", Covariance { sample: false };
    ["corr"] "corr(y, x)" -> "`float64`", "The correlation, -1 to 1; null where y or x does not vary. Rows with a null are left out. Rounds.", Function::Correlation;
}

/// Aggregate functions that people know, why they are not offered, and what to write instead.
const REFUSED: [(&[&str], &str, &str); 5] = [
    (
        &["first_value", "last_value", "any_value", "nth_value", "first", "last"],
        "depends on the order in which rows arrive, which differs from run to run",
        "`min_by(x, time)` and `max_by(x, time)` are the first and the last x by a column; `min(x)` is any of equal values",
    ),
    (
        &["string_agg", "listagg", "group_concat"],
        "depends on the order in which rows arrive, which differs from run to run",
        "`array_agg(x)` holds the values, sorted",
    ),
    (
        &["approx_median", "approx_percentile_cont", "approx_percentile_cont_with_weight", "approx_quantile"],
        "depends on the order in which parts of a group are merged, which differs from run to run",
        "`median(x)` and `percentile_cont(0.9) WITHIN GROUP (ORDER BY x)` are exact",
    ),
    (
        &["regr_slope", "regr_intercept", "regr_count", "regr_r2", "regr_avgx", "regr_avgy", "regr_sxx", "regr_syy", "regr_sxy"],
        "is not offered",
        "the slope is `covar_pop(y, x) / var_pop(x)`; `corr(y, x)` is the correlation",
    ),
    (&["grouping"], "is about several groupings, and a stage has one", "write a stage `aggregate` per grouping"),
];

/// The aggregate function of a name in lower case.
pub(super) fn find(name: &str) -> Option<Function> {
    AGGREGATES.iter().find(|doc| doc.names.contains(&name)).map(|doc| doc.function)
}

/// Why an aggregate function of a name in lower case is not offered, and what to write instead.
pub(super) fn refused(name: &str) -> Option<(&'static str, &'static str)> {
    REFUSED.iter().find(|(names, ..)| names.contains(&name)).map(|(_, why, help)| (*why, *help))
}

/// Whether a name in lower case is that of an aggregate function, offered or not.
pub(crate) fn is_aggregate(name: &str) -> bool {
    find(name).is_some() || refused(name).is_some()
}
