//! The kinds of errors of plugins that run.

wasmill_error::codes! {
    ANSWER = "plugin/answer",
        "The plugin's answer breaks the contract: invalid bytes, a schema that it did not declare, or a row that is counted twice.",
        "It is a bug of the plugin, or of its SDK. `wasmill plugin test` reproduces it from a case.";
    DEADLINE = "plugin/deadline",
        "A call took longer than `limits: { call }` allows: the plugin loops, or a batch is too much for it.",
        "Find the record with `wasmill plugin test`, reduce `batch_rows`, or raise `limits: { call }`.";
    FORBIDDEN = "plugin/forbidden",
        "The plugin requested a file, the network, a wait or an exit. A sandbox has none of these.",
        "Pass what it needs in its `config` or in columns, and take the call out of the plugin.";
    MEMORY = "plugin/memory",
        "The plugin requested more memory than `limits: { memory }` allows.",
        "Reduce `batch_rows`, raise `limits: { memory }`, or find what the plugin keeps between batches.";
    OUTPUT = "plugin/output",
        "The answer of one call is larger than a plugin may return.",
        "Reduce `batch_rows`, or let the plugin return fewer or smaller values.";
    REFUSAL = "plugin/refusal",
        "The plugin works, and refuses its configuration or its input columns.",
        "Its message has the reason: correct `config`, or the columns before the stage.";
    REFUSED_BATCH = "plugin/refused-batch",
        "The plugin returned an error for a whole batch, without naming the record to blame.",
        "Its message has the reason. A plugin should reject single records, which then go to the dead letters.";
    SETUP = "plugin/setup",
        "Plugins can't run on this machine: the cache of compiled plugins is unusable or writable by others, or there is no memory for a sandbox.",
        "Follow the message. `WASMILL_CACHE` names another folder for the cache.";
    STACK = "plugin/stack",
        "The plugin exhausted its call stack: it recurses without end, or as deeply as a record is nested.",
        "Bound the recursion in the plugin. The dead letters name the record, if one is to blame.";
    TRAP = "plugin/trap",
        "The plugin crashed: a panic, an `unreachable`, or an access outside of its memory. The message ends with its last words.",
        "It is a bug of the plugin. `on_fault: reject` rejects the records that it crashes on.";
    UNSTABLE = "plugin/unstable",
        "The plugin contradicts what it said before: it describes itself or its ports in another way when it is asked again.",
        "It is a bug of the plugin: its answers must depend on its configuration and its input only.";
    UNSUPPORTED = "plugin/unsupported",
        "The plugin relies on something that a later version of the plugin contract defines and that this Wasmill does not know.",
        "Use a newer Wasmill, or build the plugin with the SDK of this one.";
}
