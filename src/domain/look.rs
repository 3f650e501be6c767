//! What a store keeps of flags: whose can have changed with a world, and what they are.
//!
//! Most flags are a customer's. A dispute or refund that cannot be traced to one, and an object
//! that was only named, hold their flags themselves until somebody is found. All of it is a
//! function of what is kept, so it comes and goes with the facts, whatever their order.

use std::collections::BTreeSet;

use super::flag::{Flag, FlagHolder, FlagKind};
use super::id::ObjectKey;
use super::world::World;

/// A flag as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptFlag {
    /// What there is to look at.
    pub flag: Flag,
    /// An admin cleared it. Kept only of flags of set-up, which are worked out when they are
    /// read, and left out then.
    pub cleared: bool,
}

impl World {
    /// Whose flags can have changed since this world was loaded.
    pub fn flag_holders(&self) -> BTreeSet<FlagHolder> {
        let touched = &self.touched;
        // Whether somebody is known to own a dispute also depends on the account's being there.
        let named = |account: &Option<ObjectKey>| {
            account
                .as_ref()
                .is_some_and(|key| touched.accounts.contains(key))
        };
        let disputes = self.disputes.values();
        let disputes = disputes.filter(|it| named(&it.account)).map(|it| &it.key);
        let refunds = self.refunds.values();
        let refunds = refunds.filter(|it| named(&it.account)).map(|it| &it.key);
        let objects = (touched.disputes.iter())
            .chain(&touched.refunds)
            .chain(&touched.unfetched)
            .chain(disputes)
            .chain(refunds);
        let customers = touched.customers.iter().cloned().map(FlagHolder::Customer);
        customers
            .chain(objects.cloned().map(FlagHolder::Object))
            .collect()
    }

    /// The flags that a store keeps for a holder.
    pub fn kept_flags(&self, holder: &FlagHolder) -> BTreeSet<KeptFlag> {
        match holder {
            FlagHolder::Customer(id) => {
                // A merged row has a copy of what the row shown instead has.
                let row = self.customers.get(id).filter(|it| it.merged_into.is_none());
                let open = row.into_iter().flat_map(|row| &row.shown.flags);
                let cleared = row.into_iter().flat_map(|row| &row.cleared);
                let cleared = cleared.filter(|flag| flag.kind.is_of_set_up());
                let kept = |flag: &Flag, cleared| KeptFlag {
                    flag: flag.clone(),
                    cleared,
                };
                open.map(|flag| kept(flag, false))
                    .chain(cleared.map(|flag| kept(flag, true)))
                    .collect()
            }
            FlagHolder::Object(key) => {
                let open = |flag| KeptFlag {
                    flag,
                    cleared: false,
                };
                self.flags_of_object(key).map(open).collect()
            }
        }
    }

    /// Clears a flag of an object that no customer was found for. It comes back only by a newer
    /// fact. Says whether it was open.
    pub fn clear_object_flag(&mut self, key: &ObjectKey, flag: &Flag) -> bool {
        if !self.flags_of_object(key).any(|it| it == *flag) {
            return false;
        }
        match flag.kind {
            FlagKind::Unlinked => {
                // Paddle's transactions are keys of disputes and of refunds.
                let dispute = self.disputes.get_mut(key);
                if let Some(it) = dispute.filter(|it| Some(it.kept.standing.0) == flag.at) {
                    it.kept.cleared_at = flag.at;
                    self.touched.disputes.insert(key.clone());
                }
                let refund = self.refunds.get_mut(key);
                if let Some(it) = refund.filter(|it| it.kept.newest() == flag.at) {
                    it.kept.cleared_at = flag.at;
                    self.touched.refunds.insert(key.clone());
                }
            }
            FlagKind::ApiKeyNeeded => {
                if let Some(it) = self.unfetched.get_mut(key) {
                    it.cleared_at = flag.at;
                    self.touched.unfetched.insert(key.clone());
                }
            }
            FlagKind::Ambiguous
            | FlagKind::UnknownStatus
            | FlagKind::ItemsIncomplete
            | FlagKind::UnmappedPrice
            | FlagKind::OpenDispute
            | FlagKind::FullRefund
            | FlagKind::ReleasesUnknown
            | FlagKind::AccountDeleted => {}
        }
        true
    }

    fn flags_of_object(&self, key: &ObjectKey) -> impl Iterator<Item = Flag> {
        let nobodys = |account: &Option<ObjectKey>| {
            let known = |key: &ObjectKey| self.accounts.contains_key(key);
            !account.as_ref().is_some_and(known)
        };
        let dispute = self.disputes.get(key).filter(|it| nobodys(&it.account));
        let dispute = dispute.filter(|it| it.kept.needs_a_look());
        let dispute = dispute.map(|it| (Some(it.kept.standing.0), it.kept.cleared_at));
        let refund = self.refunds.get(key).filter(|it| nobodys(&it.account));
        let refund = refund.filter(|it| it.kept.is_full());
        let refund = refund.map(|it| (it.kept.newest(), it.kept.cleared_at));
        let unlinked = dispute.into_iter().chain(refund);
        let unlinked = unlinked.map(|(at, cleared_at)| (FlagKind::Unlinked, at, cleared_at));
        let unfetched = self.unfetched.get(key).into_iter();
        let unfetched = unfetched.map(|it| (FlagKind::ApiKeyNeeded, Some(it.at), it.cleared_at));
        let id = key.id.clone();
        unlinked
            .chain(unfetched)
            .filter(|(_, at, cleared_at)| cleared_at < at)
            .filter_map(move |(kind, at, _)| Some(Flag::new(kind, &id, at?)))
    }
}
