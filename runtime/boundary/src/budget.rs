//! How much the host may still build from one answer: one sum over all ports, charged before memory
//! is allocated.

use std::cell::Cell;

/// The bytes that one answer may take once the host has read and completed it.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    left: Cell<u64>,
    spent: Cell<bool>,
}

/// The answer takes more than its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverBudget {
    /// The budget.
    pub limit: u64,
}

impl Budget {
    /// Arrow's offsets have 32 bits, so no answer may have more bytes than they can address.
    pub fn new(limit: u64) -> Self {
        let limit = limit.min(i32::MAX as u64);
        Self { limit, left: Cell::new(limit), spent: Cell::new(false) }
    }

    /// Takes bytes off the budget, or takes none and remembers that it was too small.
    pub fn charge(&self, bytes: u64) -> Result<(), OverBudget> {
        match self.left.get().checked_sub(bytes) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => {
                self.spent.set(true);
                Err(OverBudget { limit: self.limit })
            }
        }
    }

    /// Returns the excess of an earlier charge.
    pub fn refund(&self, bytes: u64) {
        self.left.set(self.left.get().saturating_add(bytes).min(self.limit));
    }

    /// What has been charged so far.
    pub fn used(&self) -> u64 {
        self.limit - self.left.get()
    }

    /// What may still be charged.
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// Whether a charge was refused.
    pub fn is_spent(&self) -> bool {
        self.spent.get()
    }
}

impl std::fmt::Display for OverBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the answer takes more than {} bytes once the host has read it", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_that_does_not_fit_takes_nothing() {
        let budget = Budget::new(10);
        assert_eq!(budget.charge(7), Ok(()));
        assert!(!budget.is_spent());
        assert_eq!(budget.charge(4), Err(OverBudget { limit: 10 }));
        assert!(budget.is_spent());
        assert_eq!((budget.used(), budget.left()), (7, 3));
        assert_eq!(budget.charge(3), Ok(()));
    }
}
