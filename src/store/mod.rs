//! The customer store, the event ledger and what the built-in queue needs.
//!
//! All reads and writes go through a [`Tx`], which is a transaction: `commit` consumes it,
//! dropping it undoes everything, and no function takes a pool. The one exception are the look-ups
//! of the access check, of which each is one statement that only reads. Statements are written once for
//! every engine (see `store/driver.rs`), as texts that can be pasted into the engine's own client.
//! Rows are structs whose fields are the columns (see `store/record.rs`). Methods of `Tx` are named
//! resource first (`customer_find`, `event_list`), so that what belongs together sorts together, and
//! each resource has its file.
//! No transaction stays open across a network call other than the database's own.

mod access;
mod access_look_up;
mod account;
mod acknowledged;
mod activation;
mod admin_token;
mod api_key;
mod app;
mod audit;
mod backlog;
mod branch_archive;
mod cell;
mod copy;
mod customer;
mod customer_search;
mod dismissal;
mod driver;
mod endpoint;
mod engine_error;
mod entitlement;
mod erased_object;
mod erasure;
mod erasure_step;
mod error;
mod event;
mod event_object;
mod export;
mod failure;
mod flag;
mod gate;
mod grant;
mod handle;
mod held;
mod history;
pub mod idempotency;
mod ledger;
pub mod license;
mod license_maker;
mod license_write;
mod lock;
mod message;
mod message_search;
mod owed_license;
mod package;
mod page;
mod pause;
mod payload;
mod plan;
mod postgres;
mod probe;
mod purge;
pub mod reconcile;
pub mod reconcile_object;
mod record;
mod refetch;
mod registry;
mod release;
pub mod replay;
mod reservation;
mod retention;
mod schema;
pub mod secret;
mod shared_time;
mod sqlite;
mod stats;
mod token;
mod token_import;
mod tx;
pub mod usage;
mod waiting_plan;
mod working_set;
mod writes;

pub use access::{Granted, TokenHolder};
pub use access_look_up::{PackageHolder, PackageQuestion};
pub(crate) use acknowledged::{AcknowledgedBatch, AcknowledgedNotes};
pub use acknowledged::{AcknowledgedEvent, AcknowledgedWaiting};
pub use api_key::SealedApiKey;
pub use app::App;
pub use audit::{Actor, ActorFilter, AuditEntry, AuditFilter, AuditRecord};
pub use backlog::{DueTimers, LaneBacklog};
pub use branch_archive::BranchArchive;
pub use copy::{ComparedTable, CopyError, CopyStep, StoreCopy, TableDigest};
pub use customer::CustomerFilter;
pub(crate) use endpoint::AppTerms;
pub(crate) use erased_object::ErasedObject;
pub(crate) use erasure::Erasure;
pub(crate) use erasure_step::{ErasableBody, ErasableEntry, ErasableEvent, ErasedEvent};
pub(crate) use event::PlacedEvent;
pub use event::{EventFilter, EventRecord, ExternalFilter};
pub(crate) use export::Traces;
pub use export::{DocumentTable, StoredDocument};
pub use failure::FailureGroup;
pub use flag::{FlagFilter, FlagLink};
pub use grant::GivenGrant;
pub use handle::Store;
pub use held::LockMode;
pub use history::{CustomerDay, RefusedSignatures};
pub(crate) use ledger::StoredEvent;
pub use ledger::{LedgerEntry, LedgerState};
pub use license::{LicenseFilter, SealedLicense};
pub use license_maker::{LicenseMaker, SealedKey};
pub(crate) use message::{AT_ONCE, Rest};
pub use message::{MessageMove, NewMessage, StoredMessage};
pub(crate) use message_search::Part;
pub use package::{GrantedConstraint, NamedPackage};
pub use page::{Listed, Position, Window};
pub(crate) use pause::paused_lane;
pub use pause::{Pause, PausedApp};
pub use plan::{PlanSource, StoredPlan};
pub use probe::Trial;
pub use refetch::WaitingRefetch;
pub use registry::Registry;
pub use sqlite::{BackupError, backup};
pub use token_import::{TokenName, UsedHash};

pub use driver::{Claim, PoolUse};
pub use engine_error::EngineError;
pub use error::{StoreError, Trouble};
pub use tx::Tx;
pub use writes::LastWrites;
