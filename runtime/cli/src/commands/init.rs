//! `wasmill init`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use wasmill_engine::{Error, Result};

use super::checked::{check_or_exit, fail};
use super::codes::{ARGUMENT, FILE_EXISTS, PIPELINE_MISTAKES};
use super::pipeline_arguments::PipelineArguments;
use crate::document::Redactor;
use crate::exit;
use crate::spec::{is_name, is_pipeline_name};

/// Writes a pipeline file that passes `wasmill check`, and never over another file
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    wasmill init posts.yaml --source data/posts.csv --sink out/posts\n  \
    wasmill init posts.yaml --source 's3://lake/posts/*.jsonl' --sink files:out/posts\n  \
    wasmill init orders.yaml --source postgres:public.orders --sink delta:s3://lake/orders\n  \
    wasmill init demo.yaml --source emulator:pin --sink console\n\n\
    Sources: files:PATH, s3://…, delta:PLACE, postgres:TABLE, mysql:TABLE, kafka:BROKERS/TOPIC, emulator:pin|geo|user\n\
    Sinks:   delta:PLACE, files:FOLDER, s3://…, postgres:TABLE, kafka:BROKERS/TOPIC, console\n\n\
    Without a kind, a source is files (a folder with a Delta log is delta), and a sink is delta. What is left out is asked for on a terminal. \
    The server of PostgreSQL is the environment variable PG_URL, that of MySQL is MYSQL_URL.")]
pub struct Init {
    /// The pipeline file to write
    #[arg(value_name = "PIPELINE", value_hint = clap::ValueHint::FilePath)]
    path: Option<PathBuf>,
    /// Where records come from, as KIND:PLACE or a path
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Where they go, as KIND:PLACE or a path
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
}

impl Init {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        match self.write() {
            Ok(status) => status,
            Err(error) => fail(&error, &Redactor::default(), false),
        }
    }

    fn write(self) -> Result<u8> {
        let source =
            Connector::source(&argument_or_prompt(self.source, "--source", "Where do records come from (a path, or KIND:PLACE)?")?)?;
        let sink = Connector::sink(&argument_or_prompt(self.sink, "--sink", "Where do they go (a folder, or KIND:PLACE)?")?)?;
        let path = match self.path {
            Some(path) => path,
            None => PathBuf::from(argument_or_prompt(None, "PIPELINE", "The pipeline file to write?")?),
        };
        let text = pipeline(&path, &source, &sink);
        let mut file = File::create_new(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Error::configuration(format!("{} is there already: it is not written over", path.display()))
                .code(FILE_EXISTS)
                .hint("name another file, or remove that one"),
            _ => Error::io(format!("create {}", path.display()), error),
        })?;
        file.write_all(text.as_bytes()).map_err(|error| Error::io(format!("write {}", path.display()), error))?;
        drop(file);
        let status = check_or_exit(&PipelineArguments::of(path.clone())).map_or_else(|status| status, |_| exit::OK);
        if status == exit::OK {
            let shown = path.display();
            return Ok(super::print(&format!(
                "{shown} is written\nsee its rows:  wasmill run {shown} --preview\nrun it:        wasmill run {shown}\n"
            )));
        }
        // What does not pass is not left behind: the next attempt would find it in its way.
        std::fs::remove_file(&path).map_err(|error| Error::io(format!("remove {}", path.display()), error))?;
        Err(Error::configuration(format!("{} is not written: it would not pass `wasmill check`", path.display()))
            .code(PIPELINE_MISTAKES)
            .hint("the errors are listed above; correct them and run the command again"))
    }
}

/// The value of an argument, or the input at the terminal.
fn argument_or_prompt(given: Option<String>, argument: &str, question: &str) -> Result<String> {
    if let Some(given) = given {
        return Ok(given);
    }
    let missing = || Error::configuration(format!("`{argument}` is missing")).code(ARGUMENT).hint("`wasmill init --help` shows examples");
    if !io::stdin().is_terminal() {
        return Err(missing());
    }
    let asked = || -> io::Result<String> {
        eprint!("{question} ");
        io::stderr().flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    };
    asked().map_err(|error| Error::io("read the answer", error)).and_then(|line| if line.is_empty() { Err(missing()) } else { Ok(line) })
}

/// A connector as the file writes it.
struct Connector {
    /// `files: { path: "data/*.csv" }`.
    yaml: String,
    /// Further lines of a source, each on the level of the connector.
    more: Vec<String>,
    /// Its natural name: the last part of its place.
    name: Option<String>,
}

const SOURCES: &str = "files:PATH, s3://…, delta:PLACE, postgres:TABLE, mysql:TABLE, kafka:BROKERS/TOPIC, emulator:pin|geo|user";
const SINKS: &str = "delta:PLACE, files:FOLDER, s3://…, postgres:TABLE, kafka:BROKERS/TOPIC, console";

impl Connector {
    fn source(text: &str) -> Result<Self> {
        let (kind, place) =
            split(text).unwrap_or_else(|| (if Path::new(text).join("_delta_log").is_dir() { "delta" } else { "files" }, text));
        let yaml = match (kind, place) {
            ("console", _) => return Err(unknown("source", kind, SOURCES)),
            (_, "") => return Err(no_place(text, SOURCES)),
            ("files", path) => format!("files: {{ path: {} }}", quoted(path)),
            ("s3", uri) => format!("s3: {{ uri: {} }}", quoted(uri)),
            ("delta", uri) => format!("delta: {{ uri: {} }}", quoted(uri)),
            ("emulator", table) => format!("emulator: {{ table: {}, rows: 1000 }}", quoted(table)),
            ("postgres", table) => format!("postgres: {{ connection: {{ url: \"${{env:PG_URL}}\" }}, table: {} }}", quoted(table)),
            ("mysql", table) => format!("mysql: {{ connection: {{ url: \"${{env:MYSQL_URL}}\" }}, table: {} }}", quoted(table)),
            ("kafka", place) => {
                let (brokers, topic) = place.rsplit_once('/').ok_or_else(|| no_place(text, SOURCES))?;
                format!("kafka: {{ connection: {{ brokers: {} }}, topics: [{}], format: raw }}", quoted(brokers), quoted(topic))
            }
            (other, _) => return Err(unknown("source", other, SOURCES)),
        };
        let more = match kind {
            "kafka" => {
                vec!["# For values in JSON take out `format: raw` and list their columns: schema: { id: int64, title: text }".to_owned()]
            }
            _ => Vec::new(),
        };
        Ok(Self { yaml, more, name: name_of(kind, place) })
    }

    fn sink(text: &str) -> Result<Self> {
        let (kind, place) = split(text).unwrap_or_else(|| if text == "console" { ("console", "") } else { ("delta", text) });
        let yaml = match (kind, place) {
            ("console", _) => "console: {}".to_owned(),
            (_, "") => return Err(no_place(text, SINKS)),
            ("files", path) => format!("files: {{ path: {}, format: jsonl }}", quoted(path)),
            ("s3", uri) => format!("s3: {{ uri: {}, format: jsonl }}", quoted(uri)),
            ("delta", uri) => format!("delta: {{ uri: {} }}", quoted(uri)),
            ("postgres", table) => format!("postgres: {{ connection: {{ url: \"${{env:PG_URL}}\" }}, table: {} }}", quoted(table)),
            ("kafka", place) => {
                let (brokers, topic) = place.rsplit_once('/').ok_or_else(|| no_place(text, SINKS))?;
                format!("kafka: {{ connection: {{ brokers: {} }}, topic: {} }}", quoted(brokers), quoted(topic))
            }
            (other, _) => return Err(unknown("sink", other, SINKS)),
        };
        Ok(Self { yaml, more: Vec::new(), name: name_of(kind, place) })
    }
}

/// The kind and the place of `KIND:PLACE` and of `s3://…`; none of a path. A path may hold a colon
/// after a slash.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.starts_with("s3://") {
        return Some(("s3", text));
    }
    let (kind, place) = text.split_once(':')?;
    let is_kind = kind.len() > 1 && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_kind.then_some((kind, place))
}

fn unknown(what: &str, kind: &str, known: &str) -> Error {
    Error::configuration(format!("`{}` is not a kind of {what} that `init` supports", crate::diagnostics::shorten(kind, 60)))
        .code(ARGUMENT)
        .hint(format!("{known}; a path with a colon is written as files:./a:b"))
}

fn no_place(text: &str, known: &str) -> Error {
    Error::configuration(format!("`{}` names no place", crate::diagnostics::shorten(text, 80))).code(ARGUMENT).hint(known.to_owned())
}

/// A text in double quotes, as YAML and JSON alike read it; `${` is escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace("${", "$${")).to_string()
}

/// A name from the last part of a place: `data/posts.csv` is `posts`, `data/*.csv` is `data`, the table `public.orders` is `orders`.
fn name_of(kind: &str, place: &str) -> Option<String> {
    let stem = match kind {
        "postgres" | "mysql" => place.rsplit('.').next(),
        _ => place.split('/').rev().find(|part| !part.is_empty() && !part.contains('*')).and_then(|part| part.split('.').next()),
    };
    let name: String = stem?.to_lowercase().chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
    let name = name.trim_matches('_').to_owned();
    (is_name(&name) && name != "dead_letters").then_some(name)
}

/// The pipeline file.
fn pipeline(path: &Path, source: &Connector, sink: &Connector) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    let name: String = stem.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
    let name = Some(name.trim_matches('-').to_owned()).filter(|name| is_pipeline_name(name)).unwrap_or_else(|| "pipeline".to_owned());
    let rows = source.name.clone().unwrap_or_else(|| "rows".to_owned());
    let table = sink.name.clone().unwrap_or_else(|| "out".to_owned());
    let mut text = format!("# wasmill run {} --preview shows rows and writes nothing.\nname: {name}\nmode: batch\n\n", path.display());
    let more: String = source.more.iter().fold(String::new(), |mut more, line| {
        // Writing to a String can't fail.
        let _ = writeln!(more, "    {line}");
        more
    });
    let _ = write!(text, "sources:\n  {rows}:\n    {}\n{more}\nsinks:\n  {table}:\n    from: {rows}\n    {}\n\n", source.yaml, sink.yaml);
    let _ = write!(
        text,
        "# Records that can't be read or written, each with its reason.\ndead_letters:\n  files: {{ path: {}, format: jsonl }}\n",
        quoted(&format!("out/{name}_dead_letters"))
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(source: &str, sink: &str) -> String {
        pipeline(Path::new("My Posts.yaml"), &Connector::source(source).unwrap(), &Connector::sink(sink).unwrap())
    }

    #[test]
    fn places_become_connectors_with_names() {
        let text = written("data/posts.csv", "out/post-table");
        for part in [
            "name: my-posts\n",
            "  posts:\n    files: { path: \"data/posts.csv\" }\n",
            "  post_table:\n    from: posts\n    delta: { uri: \"out/post-table\" }\n",
            "files: { path: \"out/my-posts_dead_letters\", format: jsonl }",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        let text = written("kafka:b1:9092,b2:9092/pins", "postgres:public.pins");
        assert!(
            text.contains("  pins:\n    kafka: { connection: { brokers: \"b1:9092,b2:9092\" }, topics: [\"pins\"], format: raw }"),
            "{text}"
        );
        assert!(text.contains("postgres: { connection: { url: \"${env:PG_URL}\" }, table: \"public.pins\" }"), "{text}");
        let text = written("mysql:pinterest.user_data", "console");
        assert!(
            text.contains("  user_data:\n    mysql: { connection: { url: \"${env:MYSQL_URL}\" }, table: \"pinterest.user_data\" }"),
            "{text}"
        );
        assert!(
            written("data/*.csv", "console").contains("sources:\n  data:\n") && written("*.csv", "console").contains("sources:\n  rows:\n")
        );
    }

    #[test]
    fn what_is_no_place_is_said() {
        for (source, reported) in
            [("mongodb:posts", "`mongodb` is not a kind of source"), ("files:", "names no place"), ("kafka:b:9092", "names no place")]
        {
            let error = Connector::source(source).err().unwrap();
            assert!(error.message().contains(reported), "{source}: {error}");
        }
        assert!(Connector::sink("emulator:pin").is_err());
    }

    #[test]
    fn a_place_can_not_break_out_of_its_quotes() {
        let text = written("a\"b\n${env:X}.csv", "o'ut: {x}");
        assert!(text.contains(r#"path: "a\"b\n$${env:X}.csv""#) && text.contains(r#"uri: "o'ut: {x}""#), "{text}");
    }
}
