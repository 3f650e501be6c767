//! Which facts count: those of the platform and of the connected accounts that the app names, in
//! the mode that the endpoint is meant for.
//!
//! All of it is derived. An endpoint whose secrets are of any mode is live once it has verified a
//! live event, and then test facts count nowhere, those too that came before. They are kept under
//! keys of their own, so nothing has to be undone. A connected account whose name was taken back is
//! treated alike: what is kept of it counts again as soon as it is named again. Of an account that
//! the app never named nothing is kept, because anybody may connect one and send what he likes.
//!
//! An endpoint is live as a whole, not one secret of it: after a rotation the new secret must not
//! let test events in until it has seen a live one, and secrets of the environment have no name to
//! remember. A secret that is meant for test events alone goes on working beside it.

use crate::domain::app_settings::AppSettings;
use crate::domain::apply::lookup_keys::LookupKeys;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::billing::fact::Occurrence;
use crate::domain::id::{Kind, ObjectKey, Provider, Scope};
use crate::domain::identity::test_trace::Origin;
use crate::domain::time::Timestamp;

impl AppSettings {
    /// True if events of this scope are those of the platform or of a named account.
    pub fn names(&self, scope: &Scope) -> bool {
        let connected = scope.connected.as_deref();
        connected.is_none_or(|account| self.connected_accounts.contains(account))
    }

    /// Returns the connected account that an event is of, if it is not named.
    fn unnamed(&self, lookup_keys: &LookupKeys) -> Option<ObjectKey> {
        let scope = lookup_keys.scope().filter(|scope| !self.names(scope))?;
        let account = scope.connected.as_deref()?;
        Some(connected_account(scope.provider, account))
    }
}

/// The key of a connected account itself. It has no mode: it is one account in both.
pub fn connected_account(provider: Provider, account: &str) -> ObjectKey {
    let scope = Scope {
        provider,
        livemode: true,
        connected: None,
    };
    scope.key(Kind::ConnectedAccount, account)
}

/// The key of a provider's endpoint, as that of the events of one mode.
fn endpoint(provider: Provider, livemode: bool) -> ObjectKey {
    let scope = Scope {
        provider,
        livemode,
        connected: None,
    };
    scope.key(Kind::Endpoint, provider.as_str())
}

impl LookupKeys {
    /// Adds what another event of the batch can touch under these settings.
    pub fn extend_under(&mut self, settings: &AppSettings, occurrence: &Occurrence) {
        let more = occurrence.lookup_keys();
        match settings.unnamed(&more) {
            Some(account) => {
                self.unfetched.insert(account);
            }
            None => self.extend(occurrence),
        }
    }

    /// Adds what an event of the wrong mode can touch.
    pub fn extend_wrong_mode(&mut self, provider: Provider, livemode: bool) {
        self.unfetched.insert(endpoint(provider, livemode));
    }

    /// The scope of some event: all ids in one have the same.
    fn scope(&self) -> Option<&Scope> {
        let objects = [
            &self.accounts,
            &self.subscriptions,
            &self.disputes,
            &self.refunds,
            &self.payments,
            &self.payment_links,
            &self.unfetched,
        ];
        let key = objects.into_iter().flatten().next()?;
        Some(&key.scope)
    }
}

impl WorkingSet {
    /// True if the facts about an account count.
    pub fn counts(&self, account: &Account) -> bool {
        let scope = &account.key.scope;
        self.settings.names(scope) && (!self.is_off(scope) || account.history.test.by_test_secret)
    }

    /// True for test facts at an endpoint that is live.
    pub(crate) fn is_off(&self, scope: &Scope) -> bool {
        !scope.livemode && self.live.contains(&scope.provider)
    }

    /// Notes an event of a connected account that the app does not name. Returns false if it is of
    /// no such account.
    pub(super) fn note_unnamed(&mut self, lookup_keys: &LookupKeys, at: Timestamp) -> bool {
        let account = self.settings.unnamed(lookup_keys);
        if let Some(account) = &account {
            self.join_unfetched(account, at);
        }
        account.is_some()
    }

    /// True if an event says nothing that counts, because it is of test mode at an endpoint that is
    /// live.
    pub(super) fn is_of_wrong_mode(&self, lookup_keys: &LookupKeys, origin: Origin) -> bool {
        let off = lookup_keys.scope().is_some_and(|scope| self.is_off(scope));
        let meant = |key: &ObjectKey| {
            let account = self.accounts.get(key);
            account.is_some_and(|it| it.history.test.by_test_secret)
        };
        off && origin != Origin::TestSecret && !lookup_keys.accounts.iter().any(meant)
    }

    /// Notes an event of another mode than that of the secret which signed it.
    pub fn note_wrong_mode(&mut self, provider: Provider, livemode: bool, at: Timestamp) {
        self.join_unfetched(&endpoint(provider, livemode), at);
    }
}
