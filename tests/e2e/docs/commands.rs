//! Commands on pages: those that no test can run, and those within sentences.

use clap::CommandFactory as _;
use wasmill_cli::commands::Arguments;

/// Programs that tests can't run: they change the machine, need services or hours.
const NOT_RUN: [&str; 12] =
    ["git", "make", "docker", "kubectl", "systemctl", "rustup", "aws", "install", "cargo", "pip", "tar", "tests/servers/servers.py"];
/// What may stand beside them.
const BESIDE: [&str; 4] = ["cd", "export", "sudo", "mkdir"];

/// Whether a block holds only commands that no test can run.
///
/// # Errors
/// The command that can be run.
pub fn cannot_run(text: &str) -> Result<(), String> {
    let mut excused = false;
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let program = line.split_whitespace().find(|word| *word != "sudo").unwrap_or_default();
        excused |= NOT_RUN.contains(&program);
        if !NOT_RUN.contains(&program) && !BESIDE.contains(&program) && !is_container_file(line) {
            return Err(format!("`not-run` is only for {}; this can be run: {line}", NOT_RUN.join(", ")));
        }
    }
    if excused || joined.lines().any(is_container_file) { Ok(()) } else { Err("`not-run` for nothing that can't be run".into()) }
}

/// A line of a `Containerfile`.
fn is_container_file(line: &str) -> bool {
    ["FROM ", "RUN ", "COPY ", "USER ", "WORKDIR ", "ENV ", "ENTRYPOINT "].iter().any(|instruction| line.starts_with(instruction))
}

/// What is wrong with a command within a sentence: a command or an option that Wasmill does not have.
pub fn unknown(command: &str) -> Option<String> {
    let mut found = Arguments::command();
    let mut words = command.split_whitespace().skip(1).peekable();
    while let Some(word) = words.peek() {
        let names: Vec<&str> = word.split('|').collect();
        let below: Option<Vec<clap::Command>> = names.iter().map(|name| found.find_subcommand(name).cloned()).collect();
        let Some(mut below) = below.filter(|below| !below.is_empty()) else {
            // `wasmill schedule` takes a file or a command.
            if found.has_subcommands()
                && found.get_positionals().next().is_none()
                && word.starts_with(|first: char| first.is_ascii_lowercase())
            {
                return Some(format!("`{command}`: there is no command `{word}`"));
            }
            break;
        };
        words.next();
        found = below.swap_remove(0);
    }
    let options = words.filter_map(|word| word.strip_prefix("--")).map(|word| word.split('=').next().unwrap_or(word));
    let unknown = options
        .filter(|option| !["help", "version"].contains(option))
        .find(|option| !found.get_opts().chain(found.get_arguments()).any(|known| known.get_long() == Some(option)));
    unknown.map(|option| format!("`{command}`: there is no option --{option}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_that_exist_may_stand_in_sentences() {
        assert_eq!(unknown("wasmill table history|optimize|vacuum"), None);
        assert_eq!(unknown("wasmill run pipeline.yaml --mode batch"), None);
        assert_eq!(unknown("wasmill state rename-source PIPELINE OLD NEW"), None);
        assert!(unknown("wasmill stat show").is_some());
        assert!(unknown("wasmill run --modes batch").is_some());
        assert!(cannot_run("git clone x\ncd x\nmake build\n").is_ok());
        assert!(cannot_run("cd x\n").is_err());
        assert!(cannot_run("make build\nwasmill run x.yaml\n").is_err());
    }
}
