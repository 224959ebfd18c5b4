//! The kinds of errors of the source `http`, and of posting rows.

wasmill_engine::codes! {
    FOLDER = "http/folder",
        "The state of the pipeline lies in a bucket, and a log of requests needs a disk.",
        "Name a folder of this machine for the log: `folder: /var/lib/wasmill/http`.";
    LISTENERS_DIFFER = "http/listeners-differ",
        "Two sources of a pipeline listen at the same address with different `server`, `auth`, `prefix` or `rate`.",
        "Write the same into both, or give each its own port.";
    LOG_DAMAGED = "http/log-damaged",
        "A file of the log of requests is not as it was written: a disk fault, or another program.",
        "Restore the folder of the log. If that is impossible, remove it and start over with `wasmill state reset`: requests that were not read are lost.";
    LOG_IN_USE = "http/log-in-use",
        "Another process has the log of requests.",
        "Stop it, or give this pipeline another `folder`.";
    LOG_LOST = "http/log-lost",
        "The log of requests is not the one that the checkpoint has read, or lacks records of it: its folder was removed or replaced.",
        "Restore the folder. If that is impossible, start over with `wasmill state reset`: requests that were not read are lost.";
    NAME = "http/name",
        "A name can't be a part of a path, or two sources have it at one address.",
        "Use letters, digits, `.`, `_` and `-`, and each name once.";
    POST_REFUSED = "http/post-refused",
        "A server refused a row that was posted to it, or answered as no server of its kind does.",
        "Read its answer in the message: credentials, the name of a topic or stream, or the path in `--url` are wrong.";
    POST_TLS = "http/post-tls",
        "The certificate of the server that rows are posted to is not of a trusted authority, or does not name its host.",
        "Name the file of the authority that signed it: `--ca ca.pem`.";
    POST_UNANSWERED = "http/post-unanswered",
        "A row that was posted was not accepted within the time for retries, or its answer was lost and can't be asked for again.",
        "Start the server, or retry for longer: `--retry 1h`. A server that remembers the header `Idempotency-Key` is asked again after a lost answer.";
    POST_URL = "http/post-url",
        "The address to post rows to is none, or does not say where the name of each topic or stream belongs.",
        "Write `{name}` in its path: `http://127.0.0.1:8082/topics/{name}`, `https://host/test/streams/{name}/record`, `http://127.0.0.1:8080/ingest/{name}`.";
}
