//! What sinks left in a bucket, and a Delta table there, seen with other code than theirs.

// Each test program uses a part of them.
#![allow(dead_code)]

use std::process::Command;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use serde_json::Value;

use crate::store::Prefix;

/// An upload that is neither completed nor aborted.
pub struct Pending {
    key: String,
    id: String,
}

/// Runs a few lines of Python that know the store as `s3`, the bucket as `bucket`, and the arguments as `args`.
fn python(prefix: &Prefix, script: &str, arguments: &[&str]) -> Value {
    let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
    let mut command = Command::new(&python);
    command.args(["-c", script]).args(arguments).env("WASMILL_TEST_S3", prefix.store.endpoint());
    let output = command.output().unwrap_or_else(|error| panic!("{python}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// All uploads below a prefix that wait for their completion.
pub fn pending(prefix: &Prefix) -> Vec<Pending> {
    let found = python(prefix, include_str!("../store/uploads.py"), &[&format!("{}/", prefix.key)]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(|upload| Pending { key: text(&upload[0]), id: text(&upload[1]) }).collect()
}

/// Loses an upload.
pub fn abort(prefix: &Prefix, upload: &Pending) {
    let abort = prefix.client.abort_multipart_upload().bucket(&prefix.bucket).key(&upload.key).upload_id(&upload.id);
    prefix.wait(abort.send()).unwrap();
}

/// Completes an upload of a prepared commit, as a process does that is killed right after.
pub fn complete(prefix: &Prefix, name: &str, upload: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let parts = (1..).zip(upload["parts"].as_array().unwrap());
    let parts = parts.map(|(number, part)| CompletedPart::builder().part_number(number).e_tag(text(part)).build()).collect();
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = prefix.client.complete_multipart_upload().bucket(&prefix.bucket).key(prefix.path(name));
    prefix.wait(complete.upload_id(text(&upload["id"])).multipart_upload(parts).send()).unwrap();
}

/// The numbers in a Delta table, read by the Python package `deltalake`.
pub fn delta_numbers(prefix: &Prefix, table: &str) -> Vec<i64> {
    if !prefix.names().iter().any(|name| name.starts_with(&format!("{table}/_delta_log/"))) {
        return Vec::new();
    }
    let found = python(prefix, include_str!("../store/delta_numbers.py"), &[&prefix.uri(table)]);
    found.as_array().unwrap().iter().map(|number| number.as_i64().unwrap()).collect()
}

/// The numbers in the objects below a prefix that are not hidden.
pub fn object_numbers(prefix: &Prefix, place: &str) -> Vec<i64> {
    let folder = tempfile::tempdir().unwrap();
    let visible = prefix.names().into_iter().filter(|name| name.starts_with(place) && !name.contains("/_wasmill/"));
    for name in visible {
        std::fs::write(folder.path().join(name.rsplit('/').next().unwrap()), prefix.get(&name)).unwrap();
    }
    super::readers::file_numbers(folder.path())
}
