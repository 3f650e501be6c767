//! The keys of everything that a batch of events can touch, so that a store knows what to load.

use std::collections::BTreeSet;

use crate::domain::billing::fact::{Fact, Occurrence};
use crate::domain::connected_account::ConnectedAccount;
use crate::domain::email::fold_email;
use crate::domain::id::{CustomerId, Kind, ObjectKey, Provider};
use crate::domain::identity::seller_id::SellerIdFact;

/// Everything that the facts of a batch name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupKeys {
    /// Billing accounts.
    pub accounts: BTreeSet<ObjectKey>,
    /// Subscriptions.
    pub subscriptions: BTreeSet<ObjectKey>,
    /// Disputes.
    pub disputes: BTreeSet<ObjectKey>,
    /// Refunds, and charges that count theirs.
    pub refunds: BTreeSet<ObjectKey>,
    /// Documents of payments.
    pub payments: BTreeSet<ObjectKey>,
    /// Other ids of money: charges, payment intents, invoices, transactions.
    pub payment_links: BTreeSet<ObjectKey>,
    /// Objects that were only named, and events that came with another body.
    pub unfetched: BTreeSet<ObjectKey>,
    /// Addresses, lower case, before and after changes.
    pub emails: BTreeSet<String>,
    /// What the events say that can be the seller's own ids of accounts.
    pub seller_ids: Vec<SellerIdFact>,
    /// The forms of the accounts' ids that an admin may have given a customer as `external_id`:
    /// `stripe_cus_1` and `cus_1`, of a connected account `stripe_acct_1/cus_1` and `acct_1/cus_1`.
    pub external_ids: BTreeSet<String>,
    /// External ids that an admin gives or gave: what accounts they mean, only the store knows.
    pub given_external_ids: BTreeSet<String>,
    /// Rows, named by an admin or a due time.
    pub customers: BTreeSet<CustomerId>,
}

/// The forms in which an admin may write an account's id, the one that counts more first. Behind
/// that of a connected account and a slash where it belongs to one, as with prices: ids are unique
/// only within an account, and its owner chooses them.
pub fn external_ids(account: &ObjectKey) -> [String; 2] {
    let id = match &account.scope.connected {
        None => account.id.clone(),
        Some(connected) => format!("{connected}/{}", account.id),
    };
    [format!("{}_{id}", account.scope.provider), id]
}

/// The connected account in an id of this form, and the provider's own id; without one, the id.
pub fn connected_part(id: &str) -> (Option<&str>, &str) {
    match id.split_once('/') {
        Some((account, own)) if account.parse::<ConnectedAccount>().is_ok() => (Some(account), own),
        _ => (None, id),
    }
}

/// Whose account an external id can mean, and which, if it is of the form that counts more.
pub fn prefixed_account(external_id: &str) -> Option<(Provider, &str)> {
    let (provider, id) = external_id.split_once('_')?;
    Some((provider.parse().ok()?, id))
}

impl Occurrence {
    /// Collects the keys of everything that this event can touch.
    pub fn lookup_keys(&self) -> LookupKeys {
        let mut lookup_keys = LookupKeys::default();
        lookup_keys.extend(self);
        lookup_keys
    }
}

impl LookupKeys {
    /// Adds what another event of the batch can touch.
    pub fn extend(&mut self, occurrence: &Occurrence) {
        for fact in &occurrence.facts {
            self.extend_by(fact);
        }
    }

    fn extend_by(&mut self, fact: &Fact) {
        match fact {
            Fact::Contact(contact) => {
                self.account(&contact.account);
                let before = contact.before.as_ref().and_then(|c| c.email.as_deref());
                let emails = [contact.contact.email.as_deref(), before];
                self.emails
                    .extend(emails.into_iter().flatten().filter_map(fold_email));
            }
            Fact::SellerId(fact) => {
                self.account(&fact.account);
                self.seller_ids.push(fact.clone());
            }
            Fact::AccountNamed { account } | Fact::AccountRemoved { account } => {
                self.account(account);
            }
            Fact::Subscription(fact) => {
                self.subscriptions.insert(fact.subscription.clone());
                if let Some(account) = &fact.state.account {
                    self.account(account);
                }
            }
            Fact::Features(fact) => self.account(&fact.account),
            Fact::Payment(fact) => {
                self.payments.insert(fact.document.clone());
                self.subscriptions.extend(fact.subscription.clone());
                if let Some(account) = &fact.account {
                    self.account(account);
                }
            }
            Fact::Disputed { dispute, ids, .. } => {
                self.disputes.insert(dispute.clone());
                self.ids(ids);
            }
            Fact::Refunded(fact) => {
                self.refunds.insert(fact.refund.clone());
                self.ids(&fact.ids);
            }
            Fact::ChargeRefunded { charge, ids, .. } => {
                self.refunds.insert(charge.clone());
                self.ids(ids);
            }
            Fact::PaymentLink { ids } => self.ids(ids),
            Fact::Unfetched { object } | Fact::KeyExposed { key: object } => {
                self.unfetched.insert(object.clone());
            }
        }
    }

    fn account(&mut self, account: &ObjectKey) {
        self.accounts.insert(account.clone());
        self.external_ids.extend(external_ids(account));
    }

    fn ids(&mut self, ids: &BTreeSet<ObjectKey>) {
        for id in ids {
            match id.kind {
                Kind::Account => self.account(id),
                Kind::Subscription => {
                    self.subscriptions.insert(id.clone());
                }
                Kind::FeatureList
                | Kind::Invoice
                | Kind::Charge
                | Kind::PaymentIntent
                | Kind::Session
                | Kind::Transaction
                | Kind::Dispute
                | Kind::Refund
                | Kind::Adjustment
                | Kind::Event
                | Kind::ApiKey
                | Kind::ConnectedAccount
                | Kind::Endpoint
                | Kind::Other => {
                    self.payment_links.insert(id.clone());
                }
            }
        }
    }
}
