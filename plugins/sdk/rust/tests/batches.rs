//! Plugins over batches: ports, masks, origins, and the SDK's errors for authors who contradict
//! themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use wasmill_plugin::prelude::*;
use wasmill_plugin::testing;

/// A plugin whose behaviour is chosen by its configuration.
struct Chosen {
    act: String,
}

#[wasmill_plugin::config]
struct Config {
    act: String,
}

impl Transform for Chosen {
    type Config = Config;

    fn plan(config: Config, plan: &mut Plan) -> Result<Self, Refusal> {
        plan.read("n", DataType::Int64).need("text", DataType::Utf8);
        match config.act.as_str() {
            "route" => {
                plan.port("even").pass_all().compute("half", DataType::Int64);
                plan.port("odd").pass("n");
            }
            "plan twice" => {
                plan.out().pass("n").pass_as("text", "n");
            }
            "plan missing" => {
                plan.out().pass("nn");
            }
            "plan types" => {
                plan.read("n", DataType::Utf8);
            }
            "null" => {
                plan.out().null_some_as("text", "kept").pass_all();
            }
            "pass" => {}
            _ => {
                plan.out().compute("n", DataType::Int64).null_some("text");
            }
        }
        Ok(Self { act: config.act })
    }

    fn process(&mut self, batch: &Batch, out: &mut Output<'_>) -> Result<(), Refusal> {
        let n = batch.int64("n")?;
        let everything = BooleanBuffer::new_set(batch.len());
        match self.act.as_str() {
            "route" => {
                let even = mask(batch.len(), |row| n.value(row) % 2 == 0);
                let halves: Int64Array = n.iter().map(|n| n.map(|n| n / 2)).collect();
                for row in (0..batch.len()).filter(|&row| n.value(row) < 0) {
                    out.reject(row, Reject::new("negative", "n is negative"));
                    out.reject(row, Reject::new("again", "the first reason counts"));
                }
                let port = out.port("even")?;
                port.set("half", halves)?;
                port.only(even.clone());
                out.port("odd")?.only(!&even);
            }
            "null" => out.keep("kept", mask(batch.len(), |row| n.value(row) > 1))?,
            "repeat" => {
                out.rows_from(vec![0, 0, 2])?;
                out.set("n", Int64Array::from(vec![7, 8, 9]))?;
                out.keep("text", mask(3, |row| row > 0))?;
            }
            "decrease" => out.rows_from(vec![1, 0])?,
            "beyond" => out.rows_from(vec![0, 99])?,
            "send a reject" => {
                out.reject(0, Reject::new("no", "no"));
                out.rows_from(vec![0])?;
            }
            "reject beyond" => out.reject(4, Reject::new("no", "no")),
            "forget" => out.keep("text", everything)?,
            "short" => {
                out.keep("text", everything)?;
                out.set("n", Int64Array::from(vec![1]))?;
            }
            "wrong type" => out.set("n", StringArray::from(vec!["1"]))?,
            "wrong kind" => out.keep("n", everything)?,
            "unread" => drop(batch.utf8("text")?),
            "as text" => drop(batch.utf8("n")?),
            "no port" => drop(out.port("side")?),
            "nothing" => out.only(BooleanBuffer::new_unset(batch.len()))?,
            _ => {}
        }
        Ok(())
    }
}

wasmill_plugin::transform!(Chosen);

fn rows() -> Vec<Value> {
    [(4, "a"), (5, "b"), (-6, "c"), (0, "d")].map(|(n, text)| json!({ "n": n, "text": text })).to_vec()
}

fn run(act: &str) -> Result<testing::Outcome, Refusal> {
    testing::transform::<Chosen>(json!({ "act": act }), &rows())
}

#[test]
fn routes_rows_to_ports_without_the_rejected_ones() {
    let outcome = run("route").unwrap();
    let even = outcome.port("even").unwrap();
    assert_eq!(even.rows(), [json!({ "n": 4, "text": "a", "half": 2 }), json!({ "n": 0, "text": "d", "half": 0 })]);
    assert_eq!(even.origins, [0, 3]);
    assert_eq!(outcome.port("odd").unwrap().rows(), [json!({ "n": 5 })]);
    assert_eq!(outcome.reject_codes(), [(2, "negative")]);
}

#[test]
fn a_plan_without_ports_passes_everything() {
    assert_eq!(run("pass").unwrap().rows(), rows());
}

#[test]
fn nulls_an_uncrossed_column_by_a_mask() {
    let found: Vec<_> = run("null").unwrap().rows().iter().map(|row| (row["text"].clone(), row["kept"].clone())).collect();
    assert_eq!(found, [(json!("a"), json!("a")), (json!("b"), json!("b")), (json!("c"), json!(null)), (json!("d"), json!(null))]);
}

#[test]
fn origins_repeat_and_skip_rows() {
    let outcome = run("repeat").unwrap();
    assert_eq!(outcome.rows(), [json!({ "n": 7, "text": null }), json!({ "n": 8, "text": "a" }), json!({ "n": 9, "text": "c" })]);
    assert_eq!(outcome.ports[0].origins, [0, 0, 2]);
}

#[test]
fn a_call_may_send_nothing() {
    let outcome = run("nothing").unwrap();
    assert!(outcome.rows().is_empty() && outcome.rejects.is_empty());
}

#[test]
fn contradictions_are_refused_with_what_is_wrong() {
    for (act, part) in [
        ("plan twice", "two columns called n"),
        ("plan missing", "the input has no column nn; it has n, text"),
        ("plan types", "column n is asked for as Int64 and as Utf8"),
        ("decrease", "the origins of port out decrease from 1 to 0"),
        ("beyond", "row 99 of a batch of 4"),
        ("send a reject", "row 0, which is rejected"),
        ("reject beyond", "process rejects row 4 of a batch of 4"),
        ("forget", "sends rows by port out without its column n"),
        ("short", "column n of port out has 1 values where there are 4 rows"),
        ("wrong type", "planned as Int64 and is given as Utf8"),
        ("wrong kind", "port out has no nulled column n; its nulled columns are: text"),
        ("unread", "takes column text, which the plan does not read; it reads n"),
        ("as text", "takes column n as texts (Utf8), but the plan reads it as Int64"),
        ("no port", "sends to port side, which the plan does not have; it has out"),
    ] {
        let refusal = run(act).expect_err(act);
        assert!(refusal.message().contains(part), "{act}: {refusal}");
    }
}

#[test]
fn the_answer_does_not_depend_on_the_size_of_calls() {
    let config = json!({ "act": "route" });
    let schema = std::sync::Arc::new(testing::input_schema::<Chosen>(&config).unwrap());
    let numbers = Int64Array::from_iter_values((0..100).map(|n| n * 7 % 23 - 3));
    let texts = StringArray::from_iter_values((0..100).map(|n| format!("text {n}")));
    let batch = wasmill_plugin::arrow::array::RecordBatch::try_new(schema, vec![std::sync::Arc::new(numbers), std::sync::Arc::new(texts)]);
    let batch = batch.unwrap();
    let whole = testing::transform_batch::<Chosen>(&config, &batch, 100).unwrap();
    for rows_per_call in [1, 7, 33] {
        let pieces = testing::transform_batch::<Chosen>(&config, &batch, rows_per_call).unwrap();
        assert_eq!(pieces.rejects, whole.rejects);
        for (piece, whole) in pieces.ports.iter().zip(&whole.ports) {
            assert_eq!((&piece.origins, piece.rows()), (&whole.origins, whole.rows()), "{rows_per_call} rows a call");
        }
    }
}

#[test]
fn a_wrong_case_fails() {
    let folder = std::env::temp_dir().join(format!("wasmill-plugin-cases-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let case = "name: wrong\nconfig: {act: route}\ninput: [{n: 4, text: a}]\noutput: {even: [{n: 5, text: a, half: 2}]}\n";
    std::fs::write(folder.join("wrong.yaml"), case).unwrap();
    let panic = std::panic::catch_unwind(|| testing::cases::<Chosen>(&folder)).unwrap_err();
    std::fs::remove_dir_all(&folder).unwrap();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("port even, row 0 (from input row 0)\n    - n: 5\n    + n: 4\n"), "{message}");
}
