//! The reference page of error codes.

use std::fmt::Write;

use wasmill_engine::Code;

const HEAD: &str = "<!-- Written by `wasmill explain --markdown` from the codes of the check and of the connectors. Do not edit. -->\n\n\
    # Error codes\n\n\
    What `wasmill explain CODE` prints, for every code that errors and findings show in brackets. Codes with a slash belong to a connector.\n\n";

/// The page, in Markdown.
pub fn markdown<'a>(codes: impl Iterator<Item = &'a Code>) -> String {
    let mut page = HEAD.to_owned();
    for Code { name, cause, cure, .. } in codes {
        // Writing to a String can't fail.
        let _ = writeln!(page, "## `{name}`\n\n{cause}\n\n**Cure.** {cure}\n");
    }
    page.trim_end().to_owned() + "\n"
}
