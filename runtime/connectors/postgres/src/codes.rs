//! The kinds of errors that only PostgreSQL has.

wasmill_engine::codes! {
    ADDRESS = "postgres/address",
        "`connection` has no server, has it twice, or its `url` is not the address of a PostgreSQL server.",
        "Write `url: postgres://user:password@host:port/database`, or `host` with `port`, `user`, `password` and `database`.";
    CERTIFICATE = "postgres/certificate",
        "A file under `tls` can't be read or has the wrong content, or one of `ca`, `certificate` and `key` is missing.",
        "Name PEM files: authorities in `ca`, and a certificate with its unencrypted key. `verify-ca` needs a `ca` of your own.";
    COLUMN_TWICE = "postgres/column-twice",
        "`key` or `order_by` names a column twice, or the query gives two columns one name.",
        "Remove one of them, or rename a column of the query with `AS`.";
    CONNECTION_FAILED = "postgres/connection-failed",
        "The server could not be reached, did not respond in time, or the connection broke: a wrong address, a firewall, or TLS that does not fit.",
        "Check `host`, `port` and `tls`, and that the server runs. `wasmill doctor` tries the connection.";
    CONSTRAINT = "postgres/constraint",
        "A rule of the table, such as a unique index, a check or a trigger, rejects a row of the epoch. No row of it was committed.",
        "Change the rule or the rows that it collides with, and start again. `wasmill state reset` drops the epoch.";
    ENCODING = "postgres/encoding",
        "The database has another encoding than UTF8 and can't hold every text.",
        "Use a database that was created with `ENCODING 'UTF8'`.";
    KEY = "postgres/key",
        "`write: upsert` has no `key`, `key` names a column that the sink does not receive, or no unique index of the table is on exactly its columns.",
        "Name columns that identify a row, `key: [id]`, and give an existing table a primary key on them.";
    LOGIN = "postgres/login",
        "The server does not accept the user: a wrong password, or a rule of its pg_hba.conf.",
        "Check `user`, `password` and the server's pg_hba.conf.";
    MISSING = "postgres/missing",
        "The database, the schema or a column that is named does not exist. A run creates tables, and no schemas.",
        "Correct the name, or create it first: `CREATE SCHEMA …`.";
    NO_ORDER = "postgres/no-order",
        "The last run ended during a query without `order_by`, so it is unknown which rows are left.",
        "Start over with `wasmill state reset`, into emptied sinks. `order_by` lets later runs resume behind the last row.";
    NOTHING_TO_READ = "postgres/nothing-to-read",
        "The source has neither `table` nor `query`, both, or an empty query.",
        "Write one of them: `table: public.pins`.";
    ORDER_BY = "postgres/order-by",
        "The columns of `order_by` are not among those that are read, hold nulls, or do not identify a row.",
        "Name columns that are never null and unique together, such as the primary key.";
    PERMISSION = "postgres/permission",
        "The user may not do what the pipeline needs on the schema, the table or `wasmill_commits`, or the server is a standby.",
        "Grant what the message names, or name the primary server.";
    QUERY_CHANGED = "postgres/query-changed",
        "The query, the table or `order_by` is not the one of which rows were read, so the position does not apply to it.",
        "Put it back, or start over with `wasmill state reset`.";
    STATEMENT_FAILED = "postgres/statement-failed",
        "The server rejected a statement. The message has the server's own text and the SQLSTATE.",
        "Look the SQLSTATE up in PostgreSQL's appendix of error codes. `57014` means that `timeout` was too short.";
    STREAM = "postgres/stream",
        "A query ends, so that the source can't be run as a stream.",
        "Run the pipeline with `mode: batch`, and start it as often as it should read.";
    TABLE_DIFFERS = "postgres/table-differs",
        "The table has other columns or types than the pipeline writes, or was changed while an epoch waited for its commit.",
        "Write into another table, or change this one as the message says.";
    TABLE_NAME = "postgres/table-name",
        "`table` is not a name, or a schema and a name with one dot between. Names with dots or quotes are not supported.",
        "Write `table: schema.table`. Names are taken as written, capitals too.";
    TLS = "postgres/tls",
        "`tls: { mode }` and the `sslmode` of `url` contradict each other, or the server's certificate is not signed by a known authority.",
        "Set the mode in one place. `ca` is the authority that signed the server's certificate.";
    UNSUPPORTED_COLUMNS = "postgres/unsupported-columns",
        "The sink gets columns with types or names that a PostgreSQL table can't hold.",
        "Convert, rename or drop them in a stage before the sink.";
}
