//! Named values beside the contract's records: those that this host does not know are ignored, unless they have to be understood.

use wasmill_boundary::text::shown;

use crate::error::{Fault, FaultKind, Phase};

/// How the names begin that a receiver has to understand.
const MUST_BE_UNDERSTOOD: char = '!';

/// Checks what a plugin sent; this host knows no names.
pub(crate) fn check(phase: Phase, extra: &[(String, String)]) -> Result<(), Fault> {
    match extra.iter().find(|(name, _)| name.starts_with(MUST_BE_UNDERSTOOD)) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("it relies on `{}`, which this host does not know: it needs a newer Wasmill", shown(name));
            Err(Fault::new(phase, FaultKind::Unsupported, message))
        }
    }
}
