//! The kinds of errors that only MySQL has.

wasmill_engine::codes! {
    ADDRESS = "mysql/address",
        "`connection` has no server, has it twice, or its `url` is not the address of a MySQL server.",
        "Write `url: mysql://user:password@host:port/database`, or `host` with `port`, `user`, `password` and `database`.";
    CERTIFICATE = "mysql/certificate",
        "A file under `tls` can't be read or has the wrong content, or one of `certificate` and `key` is missing.",
        "Name PEM files: authorities in `ca`, and a certificate with its unencrypted key.";
    COLUMN_TWICE = "mysql/column-twice",
        "`order_by` names a column twice, `cursor` is among its columns, or the query gives two columns one name.",
        "Remove one of them, or rename a column of the query with `AS`.";
    CONNECTION_FAILED = "mysql/connection-failed",
        "The server could not be reached, did not respond in time, or the connection broke: a wrong address, a firewall, or TLS that does not fit.",
        "Check `host`, `port` and `tls`, and that the server runs. `wasmill doctor` tries the connection.";
    CURSOR = "mysql/cursor",
        "`cursor` names a column that is not among those that are read, that holds nulls, or of a type that does not count up; or a key needs a `cursor` that is not there.",
        "Name a column of whole numbers, dates or times that is never null and grows with every row, such as an `AUTO_INCREMENT` key.";
    LATE_ROW = "mysql/late-row",
        "A row came into the server with a value of the `cursor` that had been read already. Rows like it are never read.",
        "Raise `delay` above the time that transactions last, and above the step of a coarse time (a day for a date). Read the missing rows by a run into emptied sinks: `wasmill state reset`.";
    LOGIN = "mysql/login",
        "The server does not accept the user: a wrong password, a host that it does not let in, or a way of logging in that Wasmill does not know.",
        "Check `user`, `password` and the server's table of users.";
    MISSING = "mysql/missing",
        "The database, the table or a column that is named does not exist.",
        "Correct the name. A table without a database is looked for in the `database` of the connection.";
    NO_ORDER = "mysql/no-order",
        "The last run ended during a query without `order_by`, so it is unknown which rows are left.",
        "Start over with `wasmill state reset`, into emptied sinks. `order_by` lets later runs resume behind the last row.";
    NOTHING_TO_READ = "mysql/nothing-to-read",
        "The source has neither `table` nor `query`, both, or an empty query.",
        "Write one of them: `table: pinterest_data`.";
    ORDER_BY = "mysql/order-by",
        "The columns of `order_by` are not among those that are read, are of a type without an exact order, hold nulls, or do not identify a row.",
        "Name columns that are never null and unique together, such as the primary key.";
    PERMISSION = "mysql/permission",
        "The user may not read what the pipeline names, or the query would change something. Queries can only read.",
        "Grant SELECT on the table, and leave out of the query what writes.";
    QUERY_CHANGED = "mysql/query-changed",
        "The query, the table, `order_by` or `cursor` is not the one of which rows were read, so the position does not apply to it.",
        "Put it back, or start over with `wasmill state reset`.";
    STATEMENT_FAILED = "mysql/statement-failed",
        "The server rejected a statement. The message has the server's own text and the number of its error.",
        "Look the number up in the server's manual. 3024 and 1969 mean that the server allows statements less time.";
    STREAM = "mysql/stream",
        "A query ends, so that the source can't be run as a stream without a `cursor`.",
        "Name a `cursor`, or run the pipeline with `mode: batch` as often as it should read.";
    TABLE_NAME = "mysql/table-name",
        "`table` is not a name, or a database and a name with one dot between. Names with dots or quotes are not supported.",
        "Write `table: database.table`. Names are taken as written.";
    TLS = "mysql/tls",
        "`tls: { mode }` and the `ssl-mode` of `url` contradict each other, the server offers no TLS, or its certificate is not signed by a known authority for its name.",
        "Set the mode in one place. `ca` is the authority that signed the server's certificate.";
    TYPE = "mysql/type",
        "A column of the table or the query has a type that Wasmill does not read.",
        "Convert it in a `query`: `SELECT CAST(column AS CHAR) AS column …`.";
}
