//! Components written by hand: the well-behaved example with its bodies replaced, for what a compiler would not let a guest do.

const PASS_ON: &str = include_str!("../../runtime/host/examples/pass_on.wat");

/// A start function that never returns, before the module ends.
const START_LOOP: &str = "  (core module $looping (func $start (loop $for-ever (br $for-ever))) (start $start))\n  (core instance (instantiate $looping))\n  (core instance $core";

/// Answers with a list of outputs that all have the same five megabytes of columns: 20,000 times 5 MB from a few bytes.
const MANY_LISTS: &str = "(local $at i32)
      (i32.store (i32.const 1300) (i32.const 131072))
      (i32.store (i32.const 1304) (i32.const 20000))
      (local.set $at (i32.const 131072))
      (loop $next
        (i32.store offset=4 (local.get $at) (i32.const 1310720))
        (i32.store offset=8 (local.get $at) (i32.const 5000000))
        (local.set $at (i32.add (local.get $at) (i32.const 24)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 611072))))";

/// The example with each of these texts replaced; every one of them has to be there.
pub fn changed(changes: &[(&str, &str)]) -> Vec<u8> {
    let mut text = PASS_ON.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "the example has no `{from}`");
        let to = match *to {
            "STARTLOOP" => START_LOOP,
            "MANYLISTS" => MANY_LISTS,
            other => other,
        };
        text = text.replace(from, to);
    }
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
}
