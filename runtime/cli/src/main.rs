//! The command `wasmill`.

use std::process::ExitCode;

fn main() -> ExitCode {
    wasmill_cli::main()
}
