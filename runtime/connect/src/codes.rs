//! The kinds of errors that several connectors share.

wasmill_engine::codes! {
    CREDENTIALS_MISSING = "aws/credentials-missing",
        "AWS's chain found no credentials: not in the environment, a profile, a web identity or the instance; or it could not renew them.",
        "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, give the machine a role, or name credentials in `connection`.";
    ENDPOINT = "aws/endpoint",
        "`endpoint` is not the address of a server of http or https, or holds more than that.",
        "Write `https://host` or `http://host:port`. Credentials belong into keys of their own.";
    KEY_INCOMPLETE = "aws/key-incomplete",
        "A part of an access key is given without the others: `access_key_id` and `secret_access_key` go together, and `session_token` only with them.",
        "Give all parts, or none: then AWS's chain finds credentials.";
    NO_REGION = "aws/no-region",
        "Neither the file, nor the environment, nor a profile sets the region of AWS.",
        "Set `region` in `connection`, or AWS_REGION in the environment.";
    CLOCK = "machine/clock",
        "The clocks of this machine and the server differ by minutes. Servers reject requests that are signed with another time.",
        "Synchronise the clock with NTP.";
    TEMPORARY_FILE = "machine/temporary-file",
        "Rows that do not fit into memory go to a temporary file, and that file can't be created, written or read back.",
        "Free space in the folder that the message names. `TMPDIR` names another one.";
    OUT_OF_RANGE = "option/out-of-range",
        "A number, size or time of a connector's configuration is outside of what it can work with.",
        "Use a value in the range that the message gives.";
    NOT_A_TIME = "option/time",
        "A text that should be a duration or a moment can't be read as one.",
        "Write a duration as `10s`, `5m` or `1h30m`, and a moment as `2026-01-31T00:00:00Z`.";
    RETRIES_EXHAUSTED = "retry/exhausted",
        "Every attempt failed for as long as `retry: { for: … }` allows. The message ends with the last failure.",
        "Bring the server back and start again: the run resumes behind its last checkpoint. A larger `for` waits longer.";
    COLUMNS_UNKNOWN = "sink/columns-unknown",
        "A command has to create the sink's table or token, and can't find out which columns the sink gets.",
        "Create the table, or correct the pipeline until `wasmill check` passes: the columns follow from all of it.";
    FENCED = "sink/fenced",
        "The sink's token was moved by another process or another state of this pipeline. Committing now could write rows twice.",
        "Run one copy of the pipeline. If its state was lost, `wasmill state adopt` takes the sink over.";
    FOLDER_NOT_WRITABLE = "sink/folder-not-writable",
        "The folder of the sink can't be written: it is a file, lies on a read-only file system, or this user lacks the permission.",
        "Choose another folder, or correct its permissions.";
    PREPARED_ELSEWHERE = "sink/prepared-elsewhere",
        "An epoch was prepared for one place, and the sink was changed to write into another before that epoch was committed.",
        "Change the sink back, run the pipeline once, then change it again.";
    PREPARED_UNREADABLE = "sink/prepared-unreadable",
        "A commit that waits in the state was written by another version of Wasmill, or was damaged.",
        "Run the version that wrote it once. Otherwise `wasmill state reset` drops that commit and starts over.";
    TOKEN_DAMAGED = "sink/token-damaged",
        "The record of what the sink has committed can't be read: another program wrote into it, or a part of it is lost.",
        "Restore it from a backup. Without it, it is unknown which epochs the sink holds.";
    NO_COLUMNS = "source/no-columns",
        "The columns of the source are unknown: neither `schema`, nor a stage, nor a sample names them.",
        "List them next to the connector: `schema: { index: int64, title: text }`.";
    RESERVED_COLUMN = "source/reserved-column",
        "The `schema` names a column `_source.…` that this source lacks, or with another type, or without nulls where some rows have none.",
        "Use the names and types that the message lists.";
    SOURCE_TYPE = "source/type",
        "The `schema` names a physical type that no source has, such as a view, a dictionary or a large list.",
        "Use the plain type: `text`, `binary` or `list<…>`.";
}
