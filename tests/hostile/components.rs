//! Components written by hand: the well-behaved example with its bodies replaced, for what a compiler would not let a guest do.

#[path = "encode.rs"]
mod encode;

const PASS_ON: &str = include_str!("../../runtime/host/examples/pass_on.wat");
const CONTRACT: &str = include_str!("../../wit/wasmill.wit");

/// Answers with a list of outputs that all have the same five megabytes as their table: 20,000 times 5 MB from a few bytes.
pub const MANY_TABLES: &str = "(local $at i32)
    (i32.store (i32.const 1428) (i32.const 131072))
    (i32.store (i32.const 1432) (i32.const 20000))
    (local.set $at (i32.const 131072))
    (loop $next
      (i32.store8 offset=4 (local.get $at) (i32.const 1))
      (i32.store offset=12 (local.get $at) (i32.const 1310720))
      (i32.store offset=16 (local.get $at) (i32.const 5000000))
      (local.set $at (i32.add (local.get $at) (i32.const 48)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 1091072))))";

/// The example, with each of these texts replaced in its module and in its contract; every one of them has to be in one of the two.
pub fn changed(changes: &[(&str, &str)]) -> Vec<u8> {
    let (mut module, mut contract) = (PASS_ON.to_owned(), CONTRACT.to_owned());
    for (from, to) in changes {
        assert!(module.contains(from) || contract.contains(from), "the example has no `{from}`");
        module = module.replace(from, to);
        contract = contract.replace(from, to);
    }
    encode::component(&module, &contract, "transform-plugin").unwrap_or_else(|error| panic!("{error}"))
}
