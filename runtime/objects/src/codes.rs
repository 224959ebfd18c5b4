//! The kinds of errors of buckets.

wasmill_engine::codes! {
    BUCKET_ADDRESS = "bucket/address",
        "An address in S3 has no bucket, no prefix where one is needed, or is not of the form `s3://bucket/prefix`.",
        "Write it as `s3://bucket/prefix`.";
    CONDITIONAL_PUTS = "bucket/conditional-puts",
        "The store ignores or does not know the conditions If-Match and If-None-Match. Two processes could overwrite each other there.",
        "Use a store that supports conditional puts, such as S3, or MinIO and Ceph in current versions.";
    NO_CLIENT = "bucket/no-client",
        "This binary was built without the client for buckets.",
        "Use a build with default features, or add the feature `s3`.";
    NOT_FOUND = "bucket/not-found",
        "The store has no bucket, object or upload of that name, or not in that region.",
        "Check the name, `region` and `endpoint`.";
    OBJECT_TAKEN = "bucket/object-taken",
        "An object that is to be published exists already with another size: another program wrote it.",
        "Move that object away and start again. Nothing was removed or overwritten.";
    REFUSED = "bucket/refused",
        "The store responds and denies the request: wrong credentials, missing permissions, or a clock that is minutes off.",
        "Check the credentials, their permissions on the bucket, and this machine's clock. `wasmill doctor` tries each of them.";
    UNREACHABLE = "bucket/unreachable",
        "The store did not respond, cut the connection or failed, and retries did not help.",
        "Check `endpoint` and the network, then start again. The run resumes behind its last checkpoint.";
    UPLOAD_GONE = "bucket/upload-gone",
        "An upload that awaits its commit was aborted: by a lifecycle rule of the bucket, by the store's own limit, or by hand.",
        "Let such rules keep uploads for longer than a pipeline is stopped. `wasmill state reset` starts over and reads everything again.";
}
