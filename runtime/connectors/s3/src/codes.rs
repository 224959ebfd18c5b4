//! The kinds of errors that only objects in buckets have.

wasmill_engine::codes! {
    CONNECT_LAYOUT = "s3/connect-layout",
        "`layout: connect` writes JSON lines into folders of its own, and another option contradicts that. `flush_size` belongs to this layout only.",
        "Use `format: jsonl` without `partition_by`, or leave `layout` and `flush_size` out.";
    CONNECT_SOURCE = "s3/connect-source",
        "`layout: connect` names objects by the offsets of a topic, and the sink gets rows without topic, partition and offset, or without values.",
        "Let the sink read straight from a source `kafka` with at least one column, or use another layout.";
    NO_MATCH = "s3/no-match",
        "No object of the bucket matches `uri`. A prefix without a slash at its end is the name of one object.",
        "Correct the address. `allow_empty: true` lets a batch run without objects.";
    NO_URI = "s3/no-uri",
        "`uri` is an empty list.",
        "Name objects: `uri: s3://bucket/prefix/*.jsonl`.";
    OBJECT_CHANGED = "s3/object-changed",
        "An object that was read in part has another ETag or size than in the checkpoint: it was overwritten.",
        "Put the original object back, and give new content a new key. `wasmill state reset` drops the progress and starts over.";
    PATTERN = "s3/pattern",
        "`uri` is not a pattern that can be matched: a bracket without its partner, or `**` within a name.",
        "Correct it: `*` matches any part of a name, `**` for any folders, and `[*]` for a literal `*`.";
    PREFIX_TAKEN = "s3/prefix-taken",
        "Another sink has its token below the prefix, so that both would write into the same folders.",
        "Give each sink a prefix of its own.";
    STORE_ANSWER = "s3/store-answer",
        "The store's response lacks something that it must have: an ETag, or bytes of an object that it listed as longer.",
        "Check what lies between Wasmill and the store, such as a proxy, and the version of the store.";
}
