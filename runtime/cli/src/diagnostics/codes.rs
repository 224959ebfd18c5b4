//! The kinds of findings and errors, as printed by `wasmill explain`.

use wasmill_engine::Code;

use crate::registry::connectors;

/// All of them: those of the check, those of runs and of the connectors' shared crates, and those
/// of the built-in connectors.
pub fn all() -> impl Iterator<Item = &'static Code> {
    let mut shared: Vec<&Code> = SHARED.iter().flat_map(|codes| codes.iter().copied()).collect();
    shared.sort_unstable_by_key(|code| code.name);
    CODES.iter().chain(shared).chain(connectors().iter().flat_map(|connector| connector.codes.iter().copied()))
}

/// Those of commands, and of the crates below the connectors.
const SHARED: &[&[&Code]] = &[
    crate::commands::codes::CODES,
    wasmill_connect::codes::CODES,
    wasmill_engine::codes::CODES,
    wasmill_formats::codes::CODES,
    #[cfg(any(feature = "gateway", feature = "http"))]
    wasmill_gateway::codes::CODES,
    wasmill_host::codes::CODES,
    wasmill_keyed::codes::CODES,
    wasmill_lake::codes::CODES,
    wasmill_objects::codes::CODES,
    wasmill_reading::codes::CODES,
    #[cfg(feature = "schedule")]
    wasmill_schedule::codes::CODES,
    #[cfg(feature = "sql")]
    wasmill_sql::codes::CODES,
];

/// Those of the check, by name.
static CODES: &[Code] = &[
    Code {
        name: "append-beside-overwrite",
        cause: "One sink overwrites and another one appends. A run that overwrites reads its sources from the start, so the \
            appending sink would receive its rows again.",
        cure: "Let all sinks append, or all overwrite, or split the pipeline in two.",
    },
    Code {
        name: "bug",
        cause: "Wasmill itself did something wrong.",
        cure: "Report it with the pipeline file and the log. The state is left as it was: the next run resumes.",
    },
    Code {
        name: "column-conflict",
        cause: "Two stages read one source and need the same column with different types.",
        cure: "Give the column one type in `schema`, or let each stage read a source of its own.",
    },
    Code {
        name: "column-missing",
        cause: "The pipeline needs a column that the source or the previous stage does not have, or that no record of a sample had.",
        cure: "Correct the name, or remove the column. The finding lists the columns that are there.",
    },
    Code {
        name: "column-not-picked",
        cause: "`schema` declares the type of a column that `columns` does not pick, so it would not be read.",
        cure: "Add the column to `columns`, or take it out of `schema`.",
    },
    Code {
        name: "column-twice",
        cause: "The header of a CSV file names a column twice, `columns` picks one twice, or a stage would give two columns one name.",
        cure: "Rename one of them, in the file or in the stage, or pick it once.",
    },
    Code {
        name: "column-type",
        cause: "A stage needs a column with a type that its input does not convert to without loss.",
        cure: "Declare the column with the needed type in `schema` of the source, or change the stage before.",
    },
    Code {
        name: "column-untyped",
        cause: "`columns` picks a column or an expression names one, and neither `schema`, nor a stage, nor the source says which type it has.",
        cure: "Give it a type in `schema`: `schema: { title: text }`.",
    },
    Code {
        name: "connector",
        cause: "A connector refuses its configuration, or the place that it names can't be read.",
        cure: "Follow the finding: it names the key or the place.",
    },
    Code {
        name: "connector-left-out",
        cause: "The connector exists, but this binary was built without it.",
        cure: "Use a build with default features, or add the feature of that name.",
    },
    Code {
        name: "connector-misplaced",
        cause: "The connector exists, but can't be used as a source, as a sink or for dead letters.",
        cure: "Choose one of those that the finding lists; `wasmill list` prints what each can be.",
    },
    Code {
        name: "cron",
        cause: "The `cron` of a job is not a cron expression, or names days that no month has.",
        cure: "Write five fields: minute, hour, day of the month, month, day of the week. `0 2 * * *` is every day at two.",
    },
    Code {
        name: "cycle",
        cause: "Stages read from each other in a circle.",
        cure: "Break the circle: a stage reads from sources and from stages before it.",
    },
    Code {
        name: "drained-batch",
        cause: "`--drain` ends a stream as its sources end, and the pipeline runs as a batch.",
        cure: "Leave `--drain` out, or run the pipeline as a stream with `--mode stream`.",
    },
    Code {
        name: "duplicate-key",
        cause: "A map of the file has a key twice, and YAML does not define which one counts.",
        cure: "Remove one of them.",
    },
    Code { name: "empty", cause: "A text, list or map is empty where something has to be.", cure: "Write a value, or remove the key." },
    Code {
        name: "endless-aggregate",
        cause: "An aggregate without windows emits its results when the input ends, and a stream does not end.",
        cure: "Add a `window`, or let it emit running results with `emit: every_epoch` into a sink that replaces rows by their key. Or let the stream end with `--drain`.",
    },
    Code {
        name: "endless-batch",
        cause: "A batch ends with its input, and so does a stream with `--drain`. This source never ends.",
        cure: "Bound the source, or run the pipeline as a stream without `--drain`.",
    },
    Code {
        name: "endless-join",
        cause: "A join of streams without `within` would have to keep every row for ever, because its partner could still come.",
        cure: "Say with `within` and `time` how far apart in event time the rows of a pair may be. Or run as a batch, or let the stream end with `--drain`.",
    },
    Code {
        name: "input-mismatch",
        cause: "A node takes several inputs whose columns differ.",
        cure: "Give them the same columns, or use a node per input.",
    },
    Code { name: "input-twice", cause: "A `from` names one input twice, so that its rows would come twice.", cure: "Remove one of them." },
    Code {
        name: "interpolation",
        cause: "A `${…}` can't be filled in: the variable is not set, the file can't be read, or the text is not of that form.",
        cure: "Set the variable or correct the reference; `$${` is a literal `${`.",
    },
    Code {
        name: "job-command",
        cause: "A job of a schedule runs nothing, or two things, or something that Wasmill does not understand.",
        cure: "Give it either a `pipeline`, with `options` of `wasmill run`, or another `command` with its arguments.",
    },
    Code { name: "missing-key", cause: "A key that is required is not there.", cure: "Add it; the finding has an example." },
    Code {
        name: "name",
        cause: "A name has characters that names can't have, is taken, or is reserved.",
        cure: "Rename it as the finding suggests. A pipeline's name also names its state.",
    },
    Code { name: "no-columns", cause: "A stage drops all of its columns, so the rows would be empty.", cure: "Keep at least one of them." },
    Code {
        name: "no-connector",
        cause: "A source, sink or `dead_letters` names no connector.",
        cure: "Add exactly one connector; `wasmill list` prints them.",
    },
    Code {
        name: "no-dead-letters",
        cause: "The pipeline has no sink for records that are rejected: the first one stops it.",
        cure: "Add `dead_letters`.",
    },
    Code {
        name: "no-transform",
        cause: "A stage names neither a plugin nor a built-in stage.",
        cure: "Give it one of the keys that the finding lists.",
    },
    Code {
        name: "not-a-plugin",
        cause: "The file is not a WebAssembly component with the interface of a Wasmill plugin.",
        cure: "Build the plugin for `wasm32-wasip2` with the SDK, and name the `.wasm` file.",
    },
    Code {
        name: "not-checked",
        cause: "A server was not contacted, or a reference of the file is not set, so something stays open. Examples are \
            whether a table fits, or everything after a source with unknown columns.",
        cure: "No action is needed. Check again before a run without `--offline`, where the servers and the variables are. \
            `schema` and `columns` of a source declare what its server would report.",
    },
    Code {
        name: "odd-text",
        cause: "A column of CSV is text because of one text besides numbers or times, such as `NA`.",
        cure: "Name the text in `csv.null` if it means null: the column then has the type of its other values. Keep it as text with `schema`.",
    },
    Code {
        name: "out-of-range",
        cause: "A number, time or size is outside of the allowed range.",
        cure: "Use a value in the range that the finding gives.",
    },
    Code {
        name: "overwrite-in-stream",
        cause: "A sink that overwrites does so at the end of a run, and a stream has no end.",
        cure: "Use `write: append`, or run as a batch, or let the stream end with `--drain`.",
    },
    Code {
        name: "pipeline-file",
        cause: "The pipeline file, or that of a schedule, can't be read.",
        cure: "Check its path and its permissions.",
    },
    Code {
        name: "places",
        cause: "The sink names its objects by the offsets of a topic, so its input must be one source of Kafka with no stage between.",
        cure: "Read from a source of Kafka, or use another layout.",
    },
    Code {
        name: "plain-secret",
        cause: "A password, key or token is written in the file, from where it is copied with it.",
        cure: "Take it from the environment or a file: `${env:NAME}`, `${secret:NAME}`, `${file:path}`. Where all servers of the connection are this machine, it is only a warning.",
    },
    Code {
        name: "plugin-config",
        cause: "The configuration of a plugin violates the plugin's schema.",
        cure: "Correct it; `wasmill plugin inspect` prints what the plugin takes.",
    },
    Code {
        name: "plugin-digest",
        cause: "The plugin that was found is another one than the digest in the file pins.",
        cure: "Pin the digest that was found, if that is the intended plugin.",
    },
    Code {
        name: "plugin-environment",
        cause: "The plugin could not be loaded for a reason of this machine: memory, disk, permissions.",
        cure: "Follow the finding.",
    },
    Code {
        name: "plugin-fault",
        cause: "The plugin crashed, looped or returned invalid output when its needs were queried.",
        cure: "It is a bug of the plugin: test it with `wasmill plugin test`.",
    },
    Code {
        name: "plugin-not-found",
        cause: "No plugin of that name lies in the folders that are searched.",
        cure: "Check the name, or name the folder with `--plugins` or `WASMILL_PLUGINS`.",
    },
    Code {
        name: "plugin-refusal",
        cause: "The plugin works and refuses its configuration or its input.",
        cure: "Its message has the reason: correct the configuration or the columns before it.",
    },
    Code {
        name: "port",
        cause: "A `from` names a port that the stage does not have, or names none of several.",
        cure: "Write `stage.port` with one of the ports that the finding lists.",
    },
    Code {
        name: "results-per-run",
        cause: "A batch reads what is new since the run before it, and so does a stream that is drained again. What waits for the end of a run is about these rows alone, and the sink adds it to the results of earlier runs or replaces them by it.",
        cure: "Use `write: overwrite` where each run should compute over all rows. Keep `write: append` where results of each run are wanted.",
    },
    Code {
        name: "running-results",
        cause: "A stage emits results that replace earlier ones of the same key. What reads them would keep the earlier ones, too, or could keep the later ones out.",
        cure: "Write them into a sink with `write: upsert` and the same `key`. Between the stage and the sink, only `rename`, `drop` and `select` may stand. Or emit each result once: `emit: at_close` without `allowed_lateness`.",
    },
    Code {
        name: "same-place",
        cause: "Two sinks write into one place: their commits would fence each other.",
        cure: "Give each a place of its own, or let one sink take both inputs.",
    },
    Code {
        name: "sampled-columns",
        cause: "The columns of the source are not declared in the file, so they were inferred from a sample of its records.",
        cure: "Nothing has to be done. Declare `schema` for columns that the sample lacks.",
    },
    Code {
        name: "secret-argument",
        cause: "A job of a schedule would have a secret among the arguments of its command, which every process of the machine can read.",
        cure: "Let the pipeline take the secret itself, with `${secret:NAME}`: jobs have the environment of the scheduler.",
    },
    Code {
        name: "set",
        cause: "A `--set` argument is not `path=value`, or its path leads nowhere.",
        cure: "Write for example `--set sources.pins.files.path=data/*.jsonl`.",
    },
    Code {
        name: "sql-function",
        cause: "An expression calls a function that does not exist, or calls one with arguments that it does not take.",
        cure: "Correct its name or its arguments; docs/sql.md lists the functions. A text is made a number with `CAST`.",
    },
    Code {
        name: "sql-syntax",
        cause: "The text of an expression is not SQL, or nested too deeply.",
        cure: "Correct it where the finding points. Texts stand in single quotes, odd names of columns in double quotes.",
    },
    Code {
        name: "sql-type",
        cause: "The parts of an expression have types that do not go together, or its result is nothing that a column can hold.",
        cure: "Convert a part with `CAST(… AS type)`. A filter has to be true or false.",
    },
    Code {
        name: "sql-unsupported",
        cause: "An expression uses SQL that can't be computed from one row alone, or that would come out differently in another run: a query, an aggregate, a window, the clock.",
        cure: "Write what the finding says, or use a plugin.",
    },
    Code {
        name: "stage-left-out",
        cause: "The built-in stage exists, but this binary was built without it.",
        cure: "Use a build with default features, or add the feature that the finding names.",
    },
    Code {
        name: "table-differs",
        cause: "The table that the sink writes into has other columns.",
        cure: "Write into another table, change that one, or let it evolve where the sink can.",
    },
    Code {
        name: "time-zone",
        cause: "A schedule names a time zone that the IANA database does not have.",
        cure: "Use a name such as `Europe/London` or `UTC`; the finding suggests one.",
    },
    Code {
        name: "too-large",
        cause: "The file is nested too deeply or holds too many values to be a pipeline.",
        cure: "Check for aliases that multiply.",
    },
    Code { name: "too-long", cause: "A text is longer than allowed.", cure: "Shorten it." },
    Code { name: "two-connectors", cause: "An entry names two connectors, and it can be only one.", cure: "Split it into two entries." },
    Code {
        name: "two-transforms",
        cause: "A stage has two of `plugin`, `rename`, `drop`, `select` and `filter`, and does only one thing.",
        cure: "Write a stage for each, one reading `from` the other.",
    },
    Code {
        name: "unknown-connection",
        cause: "A connector names a connection that the file does not have under `connections`.",
        cure: "Correct the name, add the connection, or write it out where it is used.",
    },
    Code { name: "unknown-connector", cause: "There is no connector of that name.", cure: "`wasmill list` prints the connectors." },
    Code { name: "unknown-input", cause: "A `from` names no source and no stage of this pipeline.", cure: "Correct the name." },
    Code {
        name: "unknown-key",
        cause: "There is no such key at this place.",
        cure: "Correct or remove it; the finding lists the valid keys.",
    },
    Code {
        name: "unreachable",
        cause: "A server that a source, a sink or the dead letters need accepts no connection: it is not running, its address \
            is wrong, or a firewall is between. The check waits five seconds for all servers together.",
        cure: "Start it, or correct `connection`. `wasmill check --offline` checks what needs no server.",
    },
    Code {
        name: "unused",
        cause: "Nothing reads from a source or stage, so that its rows would go nowhere.",
        cure: "Name it in the `from` of a stage or sink, or remove it.",
    },
    Code {
        name: "unused-connection",
        cause: "The file has a connection that no connector names.",
        cure: "Remove it, or name it: `connection: NAME`.",
    },
    Code {
        name: "unused-port",
        cause: "Nothing reads from one port of a stage, so that its rows go nowhere.",
        cure: "Add a sink or stage that reads from it, if its rows matter.",
    },
    Code {
        name: "wrong-type",
        cause: "A map, list, text or number is used where another kind of value is required.",
        cure: "Use the type that the finding names.",
    },
    Code {
        name: "wrong-value",
        cause: "A value is of the right type but not a valid one here.",
        cure: "Use one of the values or the form that the finding names.",
    },
    Code {
        name: "yaml",
        cause: "The file is not YAML, or uses something of YAML that a pipeline can't have.",
        cure: "Correct it at the place that the finding gives.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn sources(folder: &Path, found: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true => sources(&entry, found),
                false => found.push_str(&std::fs::read_to_string(entry).unwrap()),
            }
        }
    }

    #[test]
    fn every_finding_is_explained_and_nothing_else() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut used = BTreeSet::new();
        for level in ["error", "warning", "note"] {
            // A call followed by the name of a kind creates a finding.
            for made in text.split(&format!("Diagnostic::{level}(")).skip(1) {
                if let Some((name, _)) = made.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')) {
                    used.insert(name.to_owned());
                }
            }
        }
        let explained: BTreeSet<String> = CODES.iter().map(|code| code.name.to_owned()).collect();
        assert_eq!(used, explained);
        assert!(CODES.is_sorted_by(|one, next| one.name < next.name));
    }

    #[test]
    fn every_code_has_a_name_of_its_own_a_cause_and_a_cure() {
        let mut names = BTreeSet::new();
        for code in all() {
            assert!(names.insert(code.name), "{} is there twice", code.name);
            let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
            assert!(code.name.split('/').count() <= 2 && code.name.split('/').all(is_word), "{}", code.name);
            for text in [code.cause, code.cure] {
                assert!(text.ends_with('.') && !text.contains("  ") && text.len() > 10, "{}: {text}", code.name);
            }
        }
    }

    #[test]
    fn a_code_begins_with_its_connector_or_with_what_it_is_about() {
        let begins_with = |code: &Code, name: &str| code.name.split_once('/').is_some_and(|(first, _)| first == name);
        for connector in connectors() {
            assert!(!connector.codes.is_empty(), "{}", connector.name);
            assert!(connector.codes.iter().all(|code| begins_with(code, connector.name)), "{}", connector.name);
            assert!(connector.codes.is_sorted_by(|one, next| one.name < next.name), "{}", connector.name);
        }
        for codes in SHARED {
            assert!(codes.is_sorted_by(|one, next| one.name < next.name), "{:?}", codes.first());
            let of_a_connector = |code: &&Code| connectors().iter().any(|connector| begins_with(code, connector.name));
            assert!(codes.iter().all(|code| code.name.contains('/') && !of_a_connector(code)), "{:?}", codes.first());
        }
    }
}
