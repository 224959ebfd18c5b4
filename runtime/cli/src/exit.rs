//! Exit statuses: who has to act.

use wasmill_engine::Class;

/// Everything went well.
pub const OK: u8 = 0;
/// A case of `wasmill plugin test` fails.
pub const CASE_FAILS: u8 = 1;
/// `wasmill diff` found a difference.
pub const DIFFERENT: u8 = 1;
/// `wasmill health` found a run that is not healthy.
pub const UNHEALTHY: u8 = 1;
/// The pipeline file or the command line is wrong. The same status that the command-line parser uses.
pub const CONFIGURATION: u8 = 2;
/// A plugin works and refuses its configuration or its input.
pub const PLUGIN_REFUSAL: u8 = 3;
/// A plugin crashed, broke a limit or returned nonsense.
pub const PLUGIN_FAULT: u8 = 4;
/// A file, disk, server or permission.
pub const ENVIRONMENT: u8 = 5;
/// A source or a stage rejected a larger share of its rows than `max_reject_share` allows.
pub const TOO_MANY_REJECTS: u8 = 6;
/// Wasmill itself is wrong.
pub const BUG: u8 = 70;

/// The exit status of a class of errors.
pub fn status(class: Class) -> u8 {
    match class {
        Class::Configuration => CONFIGURATION,
        Class::PluginRefusal => PLUGIN_REFUSAL,
        Class::PluginFault => PLUGIN_FAULT,
        Class::Environment => ENVIRONMENT,
        Class::TooManyRejects => TOO_MANY_REJECTS,
        Class::Bug => BUG,
    }
}

/// The table of exit statuses, for `--help`.
pub const HELP: &str = "Exit status:\n  0   all went well\n  1   a case of `wasmill plugin test` fails, `wasmill diff` found a difference, or `wasmill health` a run that is not healthy\n  2   the pipeline file or the command line is wrong\n  3   a plugin refused its configuration or its input\n  4   a plugin crashed, exceeded a limit or returned invalid output\n  5   a file, disk, server or permission\n  6   a source or stage rejected more of its rows than max_reject_share allows\n  70  a bug in Wasmill";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_status_of_its_own_which_the_help_lists() {
        let statuses = [
            (Class::Configuration, 2),
            (Class::PluginRefusal, 3),
            (Class::PluginFault, 4),
            (Class::Environment, 5),
            (Class::TooManyRejects, 6),
            (Class::Bug, 70),
        ];
        for (class, expected) in statuses {
            assert_eq!(status(class), expected, "{class:?}");
            let mut lines = HELP.lines().map(str::trim_start);
            assert!(lines.any(|line| line.split(' ').next() == Some(&expected.to_string())), "{expected} is not in the help: {HELP}");
        }
    }
}
