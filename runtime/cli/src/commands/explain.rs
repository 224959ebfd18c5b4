//! `wasmill explain`.

use clap::Args;
use wasmill_engine::Code;

use crate::diagnostics::{codes, nearest};
use crate::exit;

/// Explains a kind of error by its code: how it comes about and what to do
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  wasmill explain column-missing\n  wasmill explain kafka/no-topics\n  wasmill explain state/in-use\n  wasmill explain"
)]
pub struct Explain {
    /// The code, as an error prints it in brackets; without it, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// Prints the reference page of all codes instead, in Markdown
    #[arg(long, conflicts_with = "code")]
    markdown: bool,
}

impl Explain {
    /// Runs the command; returns the exit status.
    pub fn run(self) -> u8 {
        if self.markdown {
            return super::print(&crate::reference::codes_markdown(codes()));
        }
        let Some(wanted) = &self.code else {
            let names: Vec<&str> = codes().map(|code| code.name).collect();
            return super::print(&format!("{}\n", names.join("\n")));
        };
        // Errors print codes in brackets, which are easily copied along.
        let wanted = wanted.trim_matches(['[', ']']);
        if let Some(code) = codes().find(|code| code.name == wanted) {
            return super::print(&explained(code));
        }
        let near = nearest(wanted, codes().map(|code| code.name)).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        eprintln!("error: there is no code `{}`{near}", crate::diagnostics::shorten(wanted, 80));
        eprintln!("  help: `wasmill explain` lists all codes");
        exit::CONFIGURATION
    }
}

fn explained(code: &Code) -> String {
    format!("{}\n\nCause: {}\n\nCure: {}\n", code.name, code.cause, code.cure)
}
