//! The link of an account, and who can lead others.

use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::id::{CustomerId, ObjectKey};
use crate::domain::identity::account::PinnedBy;

/// The row or account that an account follows.
#[derive(Clone, Copy)]
pub(super) enum Link<'a> {
    Row(&'a CustomerId),
    Account(&'a ObjectKey),
    Nobody,
}

/// A word of accounts, and the scope in which it is theirs: accounts of live and test mode, or of
/// two connected accounts, are never one customer because they say the same. Providers are not
/// separated.
pub(super) type Scoped<'a> = (bool, Option<&'a str>, &'a str);

pub(super) fn scoped<'a>(account: &'a ObjectKey, word: &'a str) -> Scoped<'a> {
    let scope = &account.scope;
    (scope.livemode, scope.connected.as_deref(), word)
}

/// Reports whether others can follow an account: those of a deleted customer are free again, whom
/// an admin parted leads nobody, and neither does one that does not count.
pub(super) fn leads(working_set: &WorkingSet, account: &Account) -> bool {
    account.history.pinned_by != PinnedBy::Parted
        && !working_set.is_gone(&account.key)
        && working_set.counts(account)
}

/// Reports whether an account of this seller's id can follow a row that has the id. A row has no
/// mode, and must not link a test account to a live one. Call it if the app links by seller's ids.
pub(crate) fn is_led_by_row(working_set: &WorkingSet, account: &ObjectKey, id: &str) -> bool {
    let has_id = |it: &Account| {
        let own = it.history.seller_id.as_ref();
        own.is_some_and(|(_, own)| own == id)
    };
    let mut accounts = working_set.accounts.values();
    account.scope.livemode
        || !accounts.any(|it| it.key.scope.livemode && has_id(it) && !working_set.is_gone(&it.key))
}
