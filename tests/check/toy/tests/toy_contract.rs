//! The contract of sources, asked of the toy.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use wasmill_connect::Sampling;
use wasmill_connect::registry::{SourceConnector, SourceRequest};
use wasmill_contract::check_source;
use wasmill_engine::Mode;
use wasmill_toy::ToyConfig;

#[test]
fn a_toy_holds_the_contract() {
    let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false)]));
    let request = || SourceRequest {
        pipeline: "p",
        name: "toy",
        schema: Arc::clone(&schema),
        mode: Mode::Batch,
        sampling: Sampling::default(),
        state: None,
    };
    let all = check_source(|| ToyConfig { rows: 100 }.build(request()).unwrap());
    assert_eq!(all["all"].len(), 100);
}
