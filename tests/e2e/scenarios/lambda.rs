//! A batch layer from Kafka over a bucket, and a speed layer from Kinesis: the same rows.

use super::rows::{Rows, comparable};
use super::{Scenario, over_both};
use crate::keyed_stages::assert_same_rows;
use crate::support::until;

over_both!(run);

fn run(rows: Rows) {
    let mut scenario = Scenario::of("lambda-on-aws", rows);
    scenario.run_through("The batch layer");
    until("the speed layer has begun to write", || scenario.store.keys().iter().any(|key| key.contains("lambda/stream/user/_delta_log/")));
    scenario.run_to_the_end();
    let printed = scenario.shell.printed();
    assert_eq!(printed.matches("equal: ").count(), 3, "{printed}");
    let mut counts = Vec::new();
    for table in ["pin", "geo", "user"] {
        let expected = scenario.cleaned(table);
        for layer in ["batch", "stream"] {
            let copy = format!("copy/{layer}/{table}");
            scenario.store.copy_all(&format!("lambda/{layer}/{table}"), &scenario.workshop.path(&copy));
            assert_same_rows(comparable(scenario.workshop.duckdb_rows(&copy)), expected.clone(), &copy);
        }
        assert_eq!(scenario.landed(&format!("{}.{table}", scenario.id)).len(), scenario.lines(table));
        counts.push(expected.len().to_string());
    }
    assert!(scenario.store.keys().iter().any(|key| key.contains("lambda/state/")), "the state is in the bucket");
    scenario.report(&format!("{} rows, the same in both layers", counts.join(", ")));
}
