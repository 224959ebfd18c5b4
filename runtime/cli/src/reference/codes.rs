//! The reference page of error codes.

use std::fmt::Write;

use wasmill_engine::Code;

const HEAD: &str = "<!-- Written by `wasmill explain --markdown` from the codes of all crates. Do not edit. -->\n\n# Error \
    codes\n\nWhat `wasmill explain CODE` prints, for every code that errors and findings print in brackets. The \
    part before the slash is the connector of the code, or its subject: the state, a file, a plugin.\n\n";

/// The page, in Markdown.
pub fn markdown<'a>(codes: impl Iterator<Item = &'a Code>) -> String {
    let mut page = HEAD.to_owned();
    for Code { name, cause, cure, .. } in codes {
        // Writing to a String can't fail.
        let _ = writeln!(page, "## `{name}`\n\n{cause}\n\n**Cure.** {cure}\n");
    }
    page.trim_end().to_owned() + "\n"
}
