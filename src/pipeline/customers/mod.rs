//! Customers: the use cases behind every dialect of the API.
//!
//! Each is one transaction: what the act can touch is loaded, the act works on it in memory, and
//! what changed is written together with its audit entries. The transaction is the only one to
//! change the app, so that of two who want the same e-mail address or external id one gets it.
//! No index keeps addresses unique: the rule has exceptions.

mod accounts;
mod act;
mod change;
mod create;
mod find;
mod orders;
mod taken;

pub use accounts::{
    AccountName, LinkedAccount, accounts, link_account, part_account, preview_link, preview_part,
};
pub(super) use act::lookup_keys_of;
pub use change::{act, delete, preview, update};
pub use create::{create, get_or_create};
pub use find::{
    CustomerDetails, CustomerPage, FindError, Named, find, find_living, list, list_alone,
};
pub(super) use find::{details, living, shown};
pub use orders::{Act, Acted, Created, CustomerError, Deletion, GotOrCreated, SameEmail};
pub(super) use taken::refuse_taken;
