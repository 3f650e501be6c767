//! What a table would do or did, in numbers, and how many there may be.

use super::line::Fault;

/// Most lines of a table: what the survey remembers of each is what an import takes of memory.
pub const MAX_LINES: u64 = 1_000_000;

/// Lines that are looked up together, and written in one transaction: few enough that a server which
/// uses the store waits well below a second.
pub(super) const LINES_AT_ONCE: usize = 500;

/// The most faults that are named; further ones are counted.
pub const MOST_NAMED: usize = 1_000;

/// A number of things by what became of them, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Made.
    pub made: u64,
    /// There, and changed.
    pub changed: u64,
    /// There already.
    pub known: u64,
}

/// The result of an import, or of looking at what it would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines that were read.
    pub lines: u64,
    /// Customers; changed are those who get an external id or a user id that they lacked.
    pub customers: Tally,
    /// Grants by hand; changed are those in place of another one for the same package.
    pub grants: Tally,
    /// Access tokens, which never change.
    pub tokens: Tally,
    /// Access tokens that were rotated or revoked here since they were taken over, which an import
    /// does not bring back.
    pub retired_tokens: u64,
}

impl Totals {
    /// Adds what was made and changed for further lines.
    pub(super) fn add(&mut self, more: &Self) {
        self.lines += more.lines;
        for (all, more) in [
            (&mut self.customers, more.customers),
            (&mut self.grants, more.grants),
            (&mut self.tokens, more.tokens),
        ] {
            all.made += more.made;
            all.changed += more.changed;
        }
    }

    /// What became of everything in a table, after this much was made and changed of it.
    #[must_use]
    pub fn after(self, done: Self) -> Self {
        let of = |all: Tally, done: Tally| Tally {
            known: (all.made + all.changed + all.known).saturating_sub(done.made + done.changed),
            ..done
        };
        Self {
            lines: done.lines,
            // Those that this import made can get their external id from a later line.
            customers: of(
                self.customers,
                Tally {
                    changed: self.customers.changed,
                    ..done.customers
                },
            ),
            grants: of(self.grants, done.grants),
            tokens: of(self.tokens, done.tokens),
            retired_tokens: self.retired_tokens,
        }
    }
}

/// A table as it was found.
#[derive(Debug, Default)]
pub struct Surveyed {
    /// What an import would do.
    pub totals: Totals,
    /// The first faults, by line.
    pub faults: Vec<Fault>,
    /// The number of all faults.
    pub fault_count: u64,
}
