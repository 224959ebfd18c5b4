//! The S3 store of the tests, and tables in it, read back by `deltalake`.

use std::process::Command;

use serde_json::Value;

use super::row_number;
use crate::kafka_broker::variable;

/// A prefix of the store that no other test uses, and how to reach it.
pub struct Store {
    pub prefix: String,
    endpoint: String,
}

const UPLOADS: &str = include_str!("../../contract/tests/store/uploads.py");

impl Store {
    /// In the store that the tests share.
    pub fn new() -> Self {
        Self::on(variable("WASMILL_TEST_S3"))
    }

    /// In a store of a test's own.
    pub fn on(endpoint: String) -> Self {
        let unique = tempfile::Builder::new().prefix("").rand_bytes(16).tempdir().unwrap();
        let unique = unique.path().file_name().unwrap().to_str().unwrap().to_lowercase();
        Self { prefix: format!("s3://{}/e2e/{unique}", variable("WASMILL_TEST_S3_BUCKET")), endpoint }
    }

    /// The options of a connector in YAML. The secrets come from variables that [`Store::environment`] sets.
    pub fn options() -> &'static str {
        r#"{ endpoint: "${env:WASMILL_TEST_S3}", access_key_id: "${env:WASMILL_TEST_S3_ACCESS_KEY}", secret_access_key: "${env:WASMILL_TEST_S3_SECRET_KEY}" }"#
    }

    /// What AWS's own tools would be told, for what has no options in YAML.
    pub fn environment(command: &mut Command) {
        command.env("AWS_ENDPOINT_URL_S3", variable("WASMILL_TEST_S3")).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", variable("WASMILL_TEST_S3_ACCESS_KEY"));
        command.env("AWS_SECRET_ACCESS_KEY", variable("WASMILL_TEST_S3_SECRET_KEY"));
    }

    fn python(&self, script: &str, arguments: &[&str]) -> Value {
        self.try_python(script, arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_python(&self, script: &str, arguments: &[&str]) -> Result<Value, String> {
        let python = std::env::var("WASMILL_PYTHON").expect("WASMILL_PYTHON names a Python with deltalake: `make test` sets it");
        let mut command = Command::new(&python);
        Self::environment(&mut command);
        command.env("WASMILL_TEST_S3", &self.endpoint).env("AWS_ENDPOINT_URL_S3", &self.endpoint);
        command.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_ALLOW_HTTP", "true");
        command.args(["-c", script]).args(arguments).env("PREFIX", &self.prefix);
        let output = command.output().unwrap_or_else(|error| panic!("{python}: {error}"));
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Puts files of this machine as objects, each whole.
    pub fn put(&self, files: &[(std::path::PathBuf, String)]) {
        let mut arguments: Vec<String> = vec![self.prefix.clone()];
        arguments.extend(files.iter().flat_map(|(path, name)| [path.to_str().unwrap().to_owned(), name.clone()]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_eq!(self.python(include_str!("../../foreign/s3_put.py"), &arguments), files.len());
    }

    /// The rows of a Delta table below the prefix; none if there is no table.
    pub fn delta_rows(&self, table: &str) -> Vec<Value> {
        self.try_delta_rows(table).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_delta_rows(&self, table: &str) -> Result<Vec<Value>, String> {
        let found = self.try_python(include_str!("../../foreign/s3_read_delta.py"), &[&format!("{}/{table}", self.prefix)])?;
        Ok(found.as_array().unwrap().clone())
    }

    /// The column `ind` of a Delta table below the prefix, sorted, with repetitions; none if there is no table.
    pub fn delta_numbers(&self, table: &str) -> Vec<u64> {
        self.try_delta_numbers(table).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same from a store that may not be able to answer; then what it said.
    pub fn try_delta_numbers(&self, table: &str) -> Result<Vec<u64>, String> {
        let mut numbers: Vec<u64> = self.try_delta_rows(table)?.iter().map(row_number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Whether the bucket is there and lets us in.
    pub fn is_ready(&self) -> bool {
        self.try_python(UPLOADS, &["none/"]).is_ok()
    }

    /// The keys of uploads below the prefix that are neither completed nor aborted.
    pub fn pending_uploads(&self) -> Vec<String> {
        let key = self.prefix.splitn(4, '/').nth(3).unwrap();
        let found = self.python(UPLOADS, &[&format!("{key}/")]);
        found.as_array().unwrap().iter().map(|upload| upload[0].as_str().unwrap().to_owned()).collect()
    }

    /// Makes the notes of uploads below the prefix two hours older: a start then removes those under which it finds nothing.
    pub fn age_notes(&self) {
        self.python(include_str!("../../foreign/s3_age_notes.py"), &[&self.prefix]);
    }

    /// The keys of all objects below the prefix, hidden ones too, without it.
    pub fn keys(&self) -> Vec<String> {
        let found = self.python(include_str!("../../foreign/s3_keys.py"), &[&self.prefix]);
        found.as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned()).collect()
    }

    /// Copies the objects below a prefix into a folder, but for hidden ones, each under the last part of its key.
    pub fn copy_to(&self, name: &str, folder: &std::path::Path) {
        std::fs::create_dir_all(folder).unwrap();
        self.python(include_str!("../../foreign/s3_copy.py"), &[&format!("{}/{name}", self.prefix), folder.to_str().unwrap()]);
    }

    /// Copies all objects below a prefix into a folder, hidden ones too, with the folders of their keys.
    pub fn copy_all(&self, name: &str, folder: &std::path::Path) {
        std::fs::create_dir_all(folder).unwrap();
        let copy = "import sys, os, json, pyarrow.fs as fs\n\
                    store = fs.S3FileSystem(endpoint_override=os.environ['AWS_ENDPOINT_URL'], region='us-east-1')\n\
                    fs.copy_files(sys.argv[1].removeprefix('s3://'), sys.argv[2], source_filesystem=store, destination_filesystem=fs.LocalFileSystem())\n\
                    print(json.dumps(True), flush=True)\n\
                    os._exit(0)";
        self.python(copy, &[&format!("{}/{name}", self.prefix), folder.to_str().unwrap()]);
    }

    /// The files that the newest version of a table below the prefix refers to, by their names from its place; none if there is no table.
    pub fn delta_files(&self, table: &str) -> Vec<String> {
        let found = self.python(include_str!("../../foreign/s3_delta_files.py"), &[&format!("{}/{table}", self.prefix)]);
        found.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}
