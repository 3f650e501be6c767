//! The stored flags: those of the owners whose flags a working set can have changed.
//!
//! Most flags belong to a customer. A dispute or refund that cannot be traced to one, an object that
//! was only named, and an account whose customer was deleted for good have flags of their own. All
//! of this is a function of the histories, so flags come and go with the facts, whatever their
//! order.

use std::collections::BTreeSet;

use crate::domain::apply::working_set::{Refund, WorkingSet};
use crate::domain::billing::trace::TracedTo;
use crate::domain::customer::flag::{Flag, FlagHolder, FlagKind, KeptFlag};
use crate::domain::id::{Kind, ObjectKey};

impl WorkingSet {
    /// Returns the owners whose flags can have changed since this working set was loaded.
    pub fn flag_holders(&self) -> BTreeSet<FlagHolder> {
        let changed = &self.changed;
        // Whether the customer of a dispute is known also depends on its account being loaded.
        let named = |account: &Option<ObjectKey>| {
            account
                .as_ref()
                .is_some_and(|key| changed.accounts.contains(key))
        };
        let disputes = self.disputes.values();
        let disputes = disputes.filter(|it| named(&it.account)).map(|it| &it.key);
        // A refund is nobody's also while it is traced to no payment.
        let traced = !changed.payments.is_empty() || !changed.payment_links.is_empty();
        let refunds = self.refunds.values();
        let refunds = refunds.filter(|it| traced || named(&it.account));
        let refunds = refunds.map(|it| &it.key);
        let accounts = changed.accounts.iter();
        let accounts = accounts.filter(|key| self.is_off(&key.scope));
        // Only of a customer that was deleted for good, and until an admin links it again.
        let ignored = |key: &&ObjectKey| {
            let account = self.accounts.get(*key);
            account.is_some_and(|it| it.history.ignored_at.is_some())
        };
        let ignored = changed.accounts.iter().filter(ignored);
        let objects = (changed.disputes.iter())
            .chain(&changed.refunds)
            .chain(&changed.unfetched)
            .chain(&changed.other_bodies)
            .chain(disputes)
            .chain(refunds)
            .chain(accounts)
            .chain(ignored);
        let customers = changed.customers.iter().cloned().map(FlagHolder::Customer);
        customers
            .chain(objects.cloned().map(FlagHolder::Object))
            .collect()
    }

    /// Returns the flags to be stored for an owner.
    pub fn kept_flags(&self, holder: &FlagHolder) -> BTreeSet<KeptFlag> {
        match holder {
            FlagHolder::Customer(id) => {
                // A merged row has a copy of the flags of the shown row.
                let row = self.customers.get(id).filter(|it| it.merged_into.is_none());
                let open = row.into_iter().flat_map(|row| &row.derived.flags);
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
            // No fact decides it.
            FlagHolder::Hook(_) => BTreeSet::new(),
        }
    }

    /// Clears a flag of an object for which no customer was found. Only a newer fact raises it
    /// again. Returns true if it was open.
    pub fn clear_object_flag(&mut self, key: &ObjectKey, flag: &Flag) -> bool {
        if !self.flags_of_object(key).any(|it| it == *flag) {
            return false;
        }
        match flag.kind {
            FlagKind::Unlinked | FlagKind::RefundUnlinked => {
                // Paddle's transactions are keys of disputes and of refunds.
                let dispute = self.disputes.get_mut(key);
                if let Some(it) = dispute.filter(|it| Some(it.history.stage.0) == flag.at) {
                    it.history.cleared_at = flag.at;
                    self.changed.disputes.insert(key.clone());
                }
                let refund = self.refunds.get_mut(key);
                if let Some(it) = refund.filter(|it| it.history.newest() == flag.at) {
                    it.history.cleared_at = flag.at;
                    self.changed.refunds.insert(key.clone());
                }
            }
            FlagKind::SameIdOtherBody => {
                if let Some(it) = self.other_bodies.get_mut(key) {
                    it.clear();
                    self.changed.other_bodies.insert(key.clone());
                }
            }
            FlagKind::WrongMode if key.kind == Kind::Account => {
                if let Some(it) = self.accounts.get_mut(key) {
                    it.history.test.cleared_at = flag.at;
                    self.changed.accounts.insert(key.clone());
                }
            }
            FlagKind::ApiKeyNeeded
            | FlagKind::ApiKeyExposed
            | FlagKind::UnknownConnectedAccount
            | FlagKind::WrongMode => {
                if let Some(it) = self.unfetched.get_mut(key) {
                    it.cleared_at = flag.at;
                    self.changed.unfetched.insert(key.clone());
                }
            }
            FlagKind::Ambiguous
            | FlagKind::UnknownStatus
            | FlagKind::ItemsIncomplete
            | FlagKind::UnmappedPrice
            | FlagKind::OpenDispute
            | FlagKind::LostDispute
            | FlagKind::FraudWarning
            | FlagKind::PaidThoughHeld
            | FlagKind::FullRefund
            | FlagKind::Overdue
            | FlagKind::ReleasesUnknown
            | FlagKind::FailedEvents
            | FlagKind::HookDisabled
            | FlagKind::SameEmail
            | FlagKind::SellerIdsDiffer => {}
            FlagKind::AccountDeleted => {
                if let Some(it) = self.accounts.get_mut(key) {
                    it.history.ignored_cleared_at = flag.at;
                    self.changed.accounts.insert(key.clone());
                }
            }
        }
        true
    }

    fn flags_of_object(&self, key: &ObjectKey) -> impl Iterator<Item = Flag> {
        let counts = |key: &ObjectKey| self.settings.names(&key.scope) && !self.is_off(&key.scope);
        let nobodys = |account: &Option<ObjectKey>| {
            let known = |key: &ObjectKey| self.accounts.contains_key(key);
            !account.as_ref().is_some_and(known)
        };
        let dispute = self.disputes.get(key).filter(|_| counts(key));
        let dispute = dispute.filter(|it| nobodys(&it.account));
        let dispute = dispute.filter(|it| it.history.needs_a_look());
        let dispute = dispute.map(|it| (Some(it.history.stage.0), it.history.cleared_at));
        let refund = self.refunds.get(key).filter(|_| counts(key));
        let refund = refund.filter(|it| nobodys(&it.account));
        let is_traced = |refund: &&Refund| {
            let traced = self.trace(&refund.history.ids);
            matches!(traced.map(|it| it.to), Some(TracedTo::Payment(_)))
        };
        let refund = refund.filter(|it| it.history.stands() && !is_traced(it));
        let refund = refund.map(|it| {
            let (at, cleared_at) = (it.history.newest(), it.history.cleared_at);
            (FlagKind::RefundUnlinked, at, cleared_at)
        });
        let dispute = dispute.map(|(at, cleared_at)| (FlagKind::Unlinked, at, cleared_at));
        let unlinked = dispute.into_iter().chain(refund);
        let unfetched = self.unfetched.get(key);
        let (kind, is_open) = match key.kind {
            Kind::ApiKey => (FlagKind::ApiKeyExposed, true),
            Kind::Endpoint => (FlagKind::WrongMode, true),
            Kind::ConnectedAccount => {
                let named = self.settings.connected_accounts.contains(key.id.as_str());
                (FlagKind::UnknownConnectedAccount, !named)
            }
            _ => (FlagKind::ApiKeyNeeded, counts(key)),
        };
        let unfetched = unfetched.filter(|_| is_open);
        let account = self.accounts.get(key).filter(|it| {
            let is_off = self.is_off(&key.scope) && self.settings.names(&key.scope);
            is_off && !self.counts(it) && !it.history.test.simulated
        });
        let account = account.map(|it| {
            let test = &it.history.test;
            (FlagKind::WrongMode, test.newest, test.cleared_at)
        });
        let unfetched = unfetched.map(move |it| (kind, Some(it.at), it.cleared_at));
        // Of a customer that was deleted for good no row is left to have the flag.
        let deleted = self.accounts.get(key).filter(|it| {
            let pin = it.history.pin.as_ref();
            pin.is_some_and(|pin| !self.customers.contains_key(pin))
        });
        let deleted = deleted.map(|it| {
            let (at, cleared_at) = (it.history.ignored_at, it.history.ignored_cleared_at);
            (FlagKind::AccountDeleted, at, cleared_at)
        });
        let other_bodies = self.other_bodies.get(key).into_iter();
        // One flag for each event, as a customer has it.
        let other_bodies = other_bodies.filter_map(|it| it.flags(&key.id).max());
        let id = key.id.clone();
        unlinked
            .chain(unfetched)
            .chain(account)
            .chain(deleted)
            .chain(account)
            .filter(|(_, at, cleared_at)| cleared_at < at)
            .filter_map(move |(kind, at, _)| Some(Flag::new(kind, &id, at?)))
            .chain(other_bodies)
    }
}
