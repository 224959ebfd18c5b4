//! The kinds of errors that only Kinesis has.

wasmill_engine::codes! {
    ACCESS_DENIED = "kinesis/access-denied",
        "AWS denies the request: missing permissions, expired or wrong keys, a wrong clock, or a key of KMS.",
        "Correct what the message names. Reading needs DescribeStreamSummary, ListShards, GetShardIterator and GetRecords; writing needs PutRecords.";
    COLUMN = "kinesis/column",
        "`partition_key` or `format: raw` needs a column that the sink does not get, or one of another type.",
        "Name a column that the message lists, use `format: json`, or let a stage create the column.";
    DELIVERY = "kinesis/delivery",
        "A stream of Kinesis has no transactions. After a crash rows can be put a second time, and the file does not accept that.",
        "Write `delivery: at_least_once` if the stream's readers can bear repeats, or choose another sink.";
    NAME = "kinesis/name",
        "A text can't be the name of a stream, its ARN, or the name of a consumer.",
        "Use 1 to 128 letters, digits, `.`, `_` and `-`.";
    NOTE_DAMAGED = "kinesis/note-damaged",
        "The note of which rows of the last epoch were put already can't be read.",
        "Remove the note that the message names: the last epoch is put again, so its rows may be duplicated.";
    RECORDS_LOST = "kinesis/records-lost",
        "Records, or a whole shard, went by retention before they were read: the pipeline was stopped for longer, or reads too slowly.",
        "`on_lost_records: trim_horizon` or `latest` resumes without them. Raise the retention of the stream.";
    REQUEST_FAILED = "kinesis/request-failed",
        "Kinesis could not be reached, or could not carry out a request.",
        "Check `region`, `endpoint` and the network, then start again. The run resumes behind its last checkpoint.";
    START = "kinesis/start",
        "`start: sequence_numbers` has a text that is not a number. YAML cuts long numbers that are not quoted.",
        "Write each in quotes: `\"49590338271490256608559692538361571095921575989136588898\"`.";
    STREAM_DELETED = "kinesis/stream-deleted",
        "The stream was deleted while it was read.",
        "Take it out of the pipeline. If it is created again, start over with `wasmill state reset`.";
    STREAM_EXISTS = "kinesis/stream-exists",
        "A stream of that name exists already.",
        "`wasmill streams describe NAME` shows it. Choose another name, or use that one.";
    STREAM_MISSING = "kinesis/stream-missing",
        "There is no stream of that name in that region and account, or it is being deleted.",
        "Check the name, `region` and the account, or create it: `wasmill streams create NAME`.";
    STREAM_REPLACED = "kinesis/stream-replaced",
        "The stream was deleted and created again, so the positions of the checkpoint are those of other records.",
        "Start over with `wasmill state reset`, if the new stream is to be read.";
}
