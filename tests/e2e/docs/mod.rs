//! README.md and the pages below docs/, run word by word: every block is what its marker says ([`page::Marker`]), from top to bottom
//! of its page, in a folder of the page's own.

mod commands;
mod first_steps;
mod frame;
mod page;
mod places;
mod session;

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser as _;
use wasmill_cli::commands::Arguments;

pub use self::frame::yaml;
use self::page::{Block, Marker, blocks, inline_commands};
use self::places::Places;
pub use self::places::programs;
use crate::support::{Ended, Running, Workshop, repository};

/// Pages without a block of their own to run have no test of their own here: [`every_page_is_run`] reads them.
macro_rules! pages {
    ($($name:ident: $path:literal),* $(,)?) => {
        const PAGES: &[&str] = &[$($path),*];
        $(#[test] fn $name() { Run::of($path).page(); })*
    };
}

pages! {
    airflow: "docs/airflow.md",
    architecture: "ARCHITECTURE.md",
    cli_reference: "docs/cli-reference.md",
    concepts: "docs/concepts.md",
    contributing: "docs/contributing.md",
    delta: "docs/delta.md",
    files_and_s3: "docs/files-and-s3.md",
    from_kafka_connect: "docs/from-kafka-connect.md",
    from_redpanda_connect: "docs/from-redpanda-connect.md",
    from_spark: "docs/from-spark.md",
    gateway: "docs/gateway.md",
    install: "docs/install.md",
    kafka: "docs/kafka.md",
    keyed_stages: "docs/keyed-stages.md",
    kinesis: "docs/kinesis.md",
    mysql: "docs/mysql.md",
    operations: "docs/operations.md",
    pipeline_reference: "docs/pipeline-reference.md",
    plugin_guide: "docs/plugin-guide.md",
    postgres: "docs/postgres.md",
    schedule: "docs/schedule.md",
    sql: "docs/sql.md",
    troubleshooting: "docs/troubleshooting.md",
}

/// Pages that [`first_steps`] runs: what a reader has at their ends is compared whole.
const FIRST_STEPS: &[&str] = &[first_steps::README, first_steps::TUTORIAL];

#[test]
fn every_page_is_run() {
    let mut wrong = Vec::new();
    for path in all_pages() {
        let text = std::fs::read_to_string(repository().join(&path)).unwrap();
        let has_blocks = blocks(Path::new(&path), &text).map(|blocks| !blocks.is_empty());
        match has_blocks {
            Err(why) => wrong.push(why),
            // `scenarios` runs those.
            Ok(true) if path.starts_with("pipelines/scenarios/") => {}
            Ok(true) if ![PAGES, FIRST_STEPS].concat().contains(&path.as_str()) => {
                wrong.push(format!("{path} has blocks and no test in tests/e2e/docs/mod.rs"))
            }
            Ok(_) => {}
        }
        let commands = inline_commands(&text).into_iter();
        wrong.extend(commands.filter_map(|(line, command)| Some(format!("{path}:{line}: {}", commands::unknown(&command)?))));
        wrong.extend(dead_links(&path, &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// README.md, everything below docs/ and the pages of the scenarios, by their paths in the repository.
fn all_pages() -> Vec<String> {
    let (mut pages, mut folders) =
        (vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned()], vec![PathBuf::from("docs"), PathBuf::from("pipelines/scenarios")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(repository().join(&folder)).unwrap().map(|entry| entry.unwrap()) {
            let path = folder.join(entry.file_name());
            match path.extension() {
                _ if entry.file_type().unwrap().is_dir() => folders.push(path),
                Some(extension) if extension == "md" => pages.push(path.to_str().unwrap().to_owned()),
                _ => {}
            }
        }
    }
    pages.sort();
    pages
}

/// Links of a page to files that are not there, and to headings that no page has.
fn dead_links(path: &str, text: &str) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let inside = links.filter(|link| !link.contains("://") && !link.contains(char::is_whitespace));
    let dead = inside.filter(|link| {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() { repository().join(path) } else { repository().join(folder).join(file) };
        let Ok(target) = target.canonicalize() else { return true };
        !heading.is_empty() && !std::fs::read_to_string(target).unwrap().lines().filter_map(anchor).any(|found| found == heading)
    });
    dead.map(|link| format!("{path}: a link to {link}, which is not there")).collect()
}

/// The anchor that a heading gets.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
    Some(
        title
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect(),
    )
}

/// A page that is run.
struct Run {
    path: &'static str,
    text: String,
    workshop: Workshop,
    places: Places,
}

impl Run {
    fn of(path: &'static str) -> Self {
        let text = std::fs::read_to_string(repository().join(path)).unwrap();
        let places = Places::of(&text);
        Self { path, text, workshop: Workshop::new(), places }
    }

    /// Runs every block. Gives the folder, to look at what came out.
    fn page(self) -> Workshop {
        self.shipped();
        let blocks = blocks(Path::new(self.path), &self.text).unwrap_or_else(|why| panic!("{why}"));
        assert!(!blocks.is_empty(), "{}: there is nothing to run", self.path);
        let failed = blocks.iter().find_map(|block| Some((block, self.block(block).err()?)));
        self.remove_topics();
        if let Some((block, why)) = failed {
            panic!("{}:{}: {why}\n\n{}", self.path, block.line, block.text);
        }
        self.workshop
    }

    /// Topics have the names that the page gives them: the next run on these brokers begins without them.
    fn remove_topics(&self) {
        for word in ["topics create ", "commits_topic: "] {
            let names = self.text.split(word).skip(1).filter_map(|rest| rest.split([' ', '`', '\n']).find(|name| !name.is_empty()));
            for name in names.filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))) {
                // Some are not there any more, or were never created.
                let _ = self.shell(&format!("wasmill topics delete {name} --brokers {} --yes", self.places.fill("b1:9092")));
            }
        }
    }

    /// What a clone has: the pipelines, and the emulator's rows where these read them.
    fn shipped(&self) {
        for folder in ["pipelines", "pipelines/analyses", "pipelines/daily", "pipelines/daily/analyses"] {
            let entries = std::fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap());
            for entry in entries.filter(|entry| entry.path().is_file()) {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                self.workshop.write(&format!("{folder}/{}", entry.file_name().to_str().unwrap()), &self.places.fill(&text));
            }
        }
        if !FIRST_STEPS.contains(&self.path) {
            self.workshop.run_well(&["emulate", "--out", "data", "--rows", "1000", "--seed", "1"]);
        }
    }

    fn block(&self, block: &Block) -> Result<(), String> {
        let text = self.places.fill(&block.text);
        match &block.marker {
            Marker::Pipeline { file } => {
                let name = file.clone().unwrap_or_else(|| format!("pipeline-{}.yaml", block.line));
                self.workshop.write(&name, &text);
                self.check(&name)
            }
            Marker::Part => {
                let name = format!("part-{}.yaml", block.line);
                let whole = frame::whole(frame::yaml(&text)?)?;
                self.workshop.write(&name, &whole.to_string());
                self.check(&name)
            }
            Marker::Key => match frame::yaml(&text)? {
                serde_json::Value::Object(map) if map.len() == 1 => Ok(()),
                other => Err(format!("not one key: {other}")),
            },
            Marker::Case { plugin } => {
                self.workshop.write("cases/case.yaml", &text);
                well(&self.shell(&format!("wasmill plugin test {plugin} --cases-from cases")))
            }
            Marker::Given | Marker::Script => well(&self.shell(&text)),
            Marker::Session => self.session(&text),
            Marker::NotRun { reason: _ } => commands::cannot_run(&block.text),
            Marker::File { name } => {
                self.workshop.write(name, &text);
                Ok(())
            }
            Marker::In { path } => {
                let file = std::fs::read_to_string(repository().join(path)).map_err(|error| format!("{path}: {error}"))?;
                if file.contains(&block.text) { Ok(()) } else { Err(format!("{path} does not hold this text")) }
            }
            Marker::Unit => unit(&text),
            Marker::Json => {
                text.lines().try_for_each(|line| serde_json::from_str::<serde_json::Value>(line).map(drop)).map_err(|e| e.to_string())
            }
            // Compared with what is generated, and its examples parsed, in tests/check.
            Marker::Help if self.path == "docs/cli-reference.md" => Ok(()),
            Marker::Help => Err("only the CLI reference holds help texts".into()),
            Marker::Doctest if self.path == "docs/plugin-guide.md" => Ok(()),
            Marker::Doctest => Err("only the plugin guide is part of the SDK's doctests".into()),
            Marker::Shown => match text.lines().find(|line| line.starts_with("wasmill ") || line.starts_with("$ ")) {
                Some(line) => Err(format!("a command that is not run: {line}")),
                None => Ok(()),
            },
        }
    }

    fn check(&self, name: &str) -> Result<(), String> {
        let mut command = self.workshop.wasmill(&["check", name, "--offline"]);
        self.places.environment(&mut command);
        well(&Running::spawn(command).wait())
    }

    fn session(&self, text: &str) -> Result<(), String> {
        for session::Step { command, expected } in session::steps(text) {
            let ended = self.shell(&format!("exec 2>&1\n{command}"));
            let printed: Vec<String> = ended.stdout.lines().map(str::to_owned).collect();
            let expected: Vec<String> = expected.iter().map(|line| self.places.fill(line)).collect();
            if !session::matches(&expected, &printed) {
                return Err(format!("`{command}` prints (exit status {:?})\n{}", ended.code, ended.stdout));
            }
        }
        Ok(())
    }

    /// Runs commands as a reader's shell does, with `wasmill` on its path. A line with the comment `# until Ctrl-C` is ended by it.
    fn shell(&self, script: &str) -> Ended {
        // In the foreground: otherwise the signal comes twice, to the process and to its group.
        let stopped = "timeout --foreground --signal INT --preserve-status 10 wasmill";
        let lines =
            script.lines().map(|line| if line.contains("# until Ctrl-C") { line.replacen("wasmill", stopped, 1) } else { line.to_owned() });
        let script = lines.collect::<Vec<_>>().join("\n");
        let wasmill = self.workshop.wasmill(&[]);
        // A page may compile a plugin with all that it depends on.
        let mut command = Command::new("timeout");
        command
            .args(["1800", "bash", "-euo", "pipefail", "-c", &script])
            .current_dir(self.workshop.path(""))
            .stdin(std::process::Stdio::null());
        wasmill.get_envs().for_each(|(name, value)| match value {
            Some(value) => drop(command.env(name, value)),
            None => drop(command.env_remove(name)),
        });
        let binary = Path::new(wasmill.get_program()).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        // `python3` is the one with the foreign readers.
        let python = std::env::var_os("WASMILL_PYTHON").map(PathBuf::from).and_then(|python| Some(python.parent()?.to_path_buf()));
        let folders = std::iter::once(binary.to_path_buf()).chain(python).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders.chain(places::programs())).unwrap());
        self.places.environment(&mut command);
        // Rust as this repository builds with it, and only with crates that were fetched for it.
        let toolchain = include_str!("../../../rust-toolchain.toml").split('"').nth(1).unwrap();
        command.env("RUSTUP_TOOLCHAIN", toolchain).env("CARGO_NET_OFFLINE", "true").env_remove("CARGO_TARGET_DIR");
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

fn well(ended: &Ended) -> Result<(), String> {
    match ended.code {
        Some(0) => Ok(()),
        code => Err(format!("exit status {code:?}\n{}\n{}", ended.stdout, ended.stderr)),
    }
}

/// The commands of a systemd unit are commands of Wasmill.
fn unit(text: &str) -> Result<(), String> {
    let commands: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("Exec")?.split_once('=')).map(|(_, command)| command).collect();
    if commands.is_empty() {
        return Err("a unit without a command".into());
    }
    commands.into_iter().try_for_each(|command| {
        let words = command.split_whitespace().enumerate().map(|(index, word)| if index == 0 { "wasmill" } else { word });
        Arguments::try_parse_from(words).map(drop).map_err(|error| error.to_string())
    })
}
