//! The domain: plain values and pure functions for billing and access.
//!
//! Nothing here does I/O, waits or asks a clock; time is an argument. That makes it possible to
//! prove that any order and any duplication of events leads to the same state.
//!
//! # Glossary
//!
//! - **fact**: one observation in an event, in our terms, regardless of the provider.
//! - **history**: what is remembered of an object: a join of facts that does not depend on their
//!   order. (A state-based CRDT.)
//! - **tie-break**: how the state is found when several facts have the same instant.
//! - **working set**: the customers, accounts and histories that are loaded to apply an event or an
//!   act.
//! - **assessment**, **standing**: the assessment of a subscription is its state at an instant, with
//!   all times that follow from it; its standing is the class in it: good, failing, paused, pending,
//!   ended or unknown.
//! - **payment**, **document**: payments are kept under their document, an invoice or a transaction.
//!   A payment *counts* if it was paid for something that costs anything, and the money is still the
//!   seller's.
//! - **coverage**: the periods that the payments of a subscription have paid for, price by price.
//! - **verdict**: the result of billing under the app's policy, for a source or, as the best of its
//!   sources, for a customer.
//! - **dossier**, **derived**: the dossier is everything that belongs to one customer; the derived
//!   state is worked out from it alone, and is what is shown.
//! - **source**: what access comes from: a subscription, something bought once (a purchase), or a
//!   grant by hand that does not follow billing.
//! - **foreign**: a subscription none of whose prices buys anything here, so that it counts nowhere.
//! - **grant**: a package and a constraint on its versions that a customer has, from a plan or by
//!   hand.
//! - **release**: a version of a package and the time at which it came out.
//! - **hold**: a reason why a customer does not have full access: billing, an admin, a dispute or a
//!   refund.
//! - **courtesy**: an admin's reactivation against the verdict of billing, until that changes.
//! - **flag**: something that a person should look at; never changes access.
//! - **link**: an account is linked to the customer that it follows; a payment link connects ids that
//!   one event named together.
//!
//! # Folders
//!
//! - [`billing`]: facts, histories, tie-break, payments, assessment, what an end leaves.
//! - [`identity`]: histories of accounts, and which of them are one customer.
//! - [`customer`]: rows, admin acts, the dossier and the derived state, flags, explanations.
//! - [`access`]: plans, releases, constraints, tokens, licences, the access check.
//! - [`apply`]: applies events, acts and timers to a working set.
//!
//! Beside them are the words that all of these share: ids, time, policy, settings, events, roles.

pub mod access;
pub mod announcement;
pub mod app_settings;
pub mod apply;
pub mod billing;
pub(crate) mod canonical_json;
pub mod connected_account;
pub mod customer;
pub mod email;
pub mod event;
pub mod hook;
pub mod id;
pub mod id_error;
pub mod identity;
pub(crate) mod json_text;
pub mod mode;
pub mod operation;
pub mod pasted_secret;
pub mod policy;
pub mod precondition;
pub mod reconcile;
pub mod refetch;
pub mod retry;
pub mod role;
pub mod shown_times;
pub mod silence;
pub mod span;
pub mod spelling;
pub mod time;
pub mod validate;
pub(crate) mod words;
