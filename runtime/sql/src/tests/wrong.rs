//! What is refused when the columns are known, and where.

use super::*;

/// The messages, each with the part of the text that it points at.
fn problems(text: &str) -> Vec<(String, String)> {
    let problems = expression(text, &posts().schema()).map(|expression| format!("{expression:?}")).unwrap_err();
    let part = |problem: &SqlProblem| text.chars().skip(problem.span.start).take(problem.span.len()).collect();
    problems.iter().map(|problem| (problem.message.clone(), part(problem))).collect()
}

fn problem(text: &str) -> (String, String) {
    let mut found = problems(text);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn every_column_that_is_not_there_is_named() {
    let found = problems("titel = 'a' AND indx > TITLE");
    let columns: Vec<&str> = found.iter().map(|(_, part)| part.as_str()).collect();
    assert_eq!(columns, ["titel", "indx", "TITLE"]);
    let suggested = expression("titel", &posts().schema()).unwrap_err().remove(0).suggestion;
    assert_eq!(suggested.as_deref(), Some("title"));
}

#[test]
fn types_that_do_not_go_together_are_shown_where_they_stand() {
    let cases = [
        ("ind + ok", "`+` does not take int64 and bool", "ind + ok"),
        ("1 + (title > 5)", "this is text where int64 is needed", "title"),
        ("NOT ind", "this is int64 where true or false is needed", "ind"),
        ("ok AND title", "this is text where true or false is needed", "title"),
        ("ind > 'many'", "`many` is no value of int64", "'many'"),
        ("DATE '2026-13-01' < day", "`2026-13-01` is no value of date", "'2026-13-01'"),
        ("CAST(ind AS TIMESTAMP)", "int64 can't be cast to timestamp", "ind"),
        ("CAST(timestamp AS BIGINT)", "timestamp can't be cast to int64", "timestamp"),
        ("CAST(title AS VARCHAR(10))", "texts have no length: write `TEXT`, and `left(text, n)` to cut", "title"),
        ("CAST(ind AS INT8)", "`INT8` has 8 bits here and 64 bits in Postgres: write `TINYINT` or `BIGINT`", "ind"),
        ("CASE WHEN ok THEN 1 ELSE day END", "this is int64 where date is needed", "1"),
        ("upper(ind, 2)", "`upper` does not take (int64, int64)", "upper(ind, 2"),
        ("to_timestamp(likes)", "`to_timestamp` takes a text or an integer, not float64", "to_timestamp(likes"),
        ("day + 1", "this is int64 where interval is needed", "1"),
        ("timestamp AT TIME ZONE 'Berlin'", "a time zone is written out, by its name or its offset", "'Berlin'"),
    ];
    for (text, message, part) in cases {
        assert_eq!(problem(text), (message.to_owned(), part.to_owned()), "{text}");
    }
    for text in ["timestamp - timestamp", "NULL", "INTERVAL '1 day'"] {
        assert!(problem(text).0.starts_with("no column can have the type "), "{text}: {:?}", problem(text));
    }
}

#[test]
fn what_fails_for_every_row_is_refused_before_there_is_one() {
    for text in ["1 / 0", "title ~ '['", "regexp_like(title, '(')", "CAST('x' AS INT)", "9223372036854775807 + 1", "ind + 1 / 0"] {
        let (message, _) = problem(text);
        assert!(message.contains("whatever the row is") || message.contains("is no value"), "{text}: {message}");
    }
}

#[test]
fn a_pattern_that_is_none_is_explained_in_one_line() {
    for text in ["title ~ '['", "regexp_replace(title, '[', 'x')"] {
        let problems = expression(text, &posts().schema()).unwrap_err();
        assert_eq!(problems[0].help, ["the pattern is no regular expression: unclosed character class"], "{text}");
    }
}

#[test]
fn what_no_row_gives_is_refused_by_name() {
    let cases = [
        ("count(ind) > 1", "`count` aggregates many rows, and each row is computed alone", "count"),
        ("max(ind)", "`max` aggregates many rows, and each row is computed alone", "max"),
        (
            "row_number() OVER (ORDER BY ind)",
            "`row_number` is a function over a window of rows, and each row is computed alone",
            "row_number",
        ),
        ("now() > timestamp", "`now` gives another value in every run, and rows have to come out the same when they are read again", "now"),
        (
            "timestamp < CURRENT_TIMESTAMP",
            "`current_timestamp` gives another value in every run, and rows have to come out the same when they are read again",
            "CURRENT_TIMESTAMP",
        ),
        ("ind IN (SELECT 1)", "a subquery can't be used here: each row is computed alone", "ind IN (SELECT 1"),
        ("uper(title)", "there is no function `uper`", "uper"),
        ("title SIMILAR TO 'a%'", "`SIMILAR TO` can't be used here", "title SIMILAR TO 'a%'"),
        ("ind = ?", "`?` is a placeholder", "?"),
        ("ind & 1", "the operator `&` can't be used here", "ind & 1"),
        ("repeat(title, ind)", "this argument of `repeat` has to be written out, and 1000 is the most", "ind"),
        ("lpad(title, 20000)", "this argument of `lpad` has to be written out, and 1000 is the most", "20000"),
        ("title LIKE 'a!%' ESCAPE '!'", "`ESCAPE` can only be the backslash", "'!'"),
        ("upper(DISTINCT title)", "`upper` takes arguments and nothing else", "upper"),
        ("arrow_typeof(ind)", "there is no function `arrow_typeof`", "arrow_typeof"),
        ("make_array(1)", "there is no function `make_array`", "make_array"),
        ("INTERVAL '5' < INTERVAL '1 day'", "this is no interval", "'5'"),
    ];
    for (text, message, part) in cases {
        let (found, at) = problem(text);
        assert_eq!((found.as_str(), at.trim_end_matches(')')), (message, part), "{text}");
    }
    let random = problem("random()").0;
    assert!(random.contains("gives another value in every run"), "{random}");
}
