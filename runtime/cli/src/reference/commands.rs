//! The reference page of the command line, written from the commands themselves.

use std::fmt::Write;

use clap::Command;

const HEAD: &str = "<!-- Written by `wasmill completions --markdown` from the types in runtime/cli/src/commands. Do not edit. -->\n\n\
    # CLI reference\n\n\
    What `wasmill COMMAND --help` prints, for every command.\n\n";

/// The width of the help texts on the page.
const COLUMNS: usize = 100;

/// The page, in Markdown.
pub fn markdown(mut command: Command) -> String {
    command = command.term_width(COLUMNS).disable_colored_help(true);
    // The paths of subcommands, `wasmill state show`, are known once it is built.
    command.build();
    let mut page = HEAD.to_owned();
    contents(&command, &mut page);
    page.push('\n');
    section(&command, &mut page);
    page.trim_end().to_owned() + "\n"
}

/// The commands that are documented. `help` is not one of them: `--help` does the same.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
}

fn path(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

fn contents(command: &Command, page: &mut String) {
    for below in shown(command) {
        let about = below.get_about().map(ToString::to_string).unwrap_or_default();
        // Writing to a String can't fail.
        let _ = writeln!(page, "- [`{}`](#{}): {about}", path(below), path(below).replace(' ', "-"));
        contents(below, page);
    }
}

fn section(command: &Command, page: &mut String) {
    let help = command.clone().render_long_help().to_string();
    let _ = writeln!(page, "## {}\n\n```text help", path(command));
    for line in help.lines() {
        let _ = writeln!(page, "{}", line.trim_end());
    }
    page.push_str("```\n\n");
    for below in shown(command) {
        section(below, page);
    }
}
