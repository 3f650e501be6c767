//! The licences that are owed for what was bought: one for each subscription or purchase and product
//! that a plan of its prices names.
//!
//! A licence is owed as soon as its source is known to have been bought, in whatever state it is by
//! now, and stays owed: so the same are made in any order of events. Of a subscription that is known
//! by its end alone nothing is owed, because a later word may be that it never began. Its key is made
//! where it is stored; whether it is valid follows from what its source gives
//! ([`License::judge`](crate::domain::access::license::License::judge)).

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::access::plan::Price;
use crate::domain::apply::working_set::WorkingSet;
use crate::domain::id::{CustomerId, Kind, ObjectKey};

/// A licence that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedLicense {
    /// The subscription, or the document of the payment of a purchase.
    pub source: ObjectKey,
    /// Other documents of the same payment, under which it may have been known before.
    pub documents: BTreeSet<ObjectKey>,
    /// The product.
    pub product: String,
    /// The id of the plan that names it; of several the first.
    pub plan: String,
    /// The customer whose it is.
    pub customer: CustomerId,
}

impl WorkingSet {
    /// Returns the licences that are owed for what is in this working set, each once.
    pub fn owed_licenses(&self) -> Vec<OwedLicense> {
        if self.plans.values().all(|plan| plan.licenses.is_empty()) {
            return Vec::new();
        }
        let mut owed = Owed {
            working_set: self,
            all: BTreeMap::new(),
        };
        for (key, subscription) in &self.subscriptions {
            if let Some(customer) = subscription.account.as_ref().and_then(|it| self.owner(it)) {
                owed.add(key, customer, subscription.history.had.iter());
            }
        }
        let payments = self.payments_by(|account| self.owner(account));
        // By each document of a payment, the one under which it is known first: its customer is the one
        // whose the licence is, should others of the payment name somebody else.
        for (key, document) in &self.payments {
            let Some(customer) = document.account.as_ref().and_then(|it| self.owner(it)) else {
                continue;
            };
            let payment = payments.get(&(self.document_of(key), customer));
            let Some(payment) = payment.filter(|it| it.paid().is_some()) else {
                continue;
            };
            owed.add(&payment.key, customer, payment.history.bought());
            // The cart of a Checkout session is closed when it completes, which may be long before its
            // payment is captured. Judged by each document of a payment: the one under which the payment
            // is known can change with what comes later, and what was owed must stay owed.
            if matches!(key.kind, Kind::PaymentIntent | Kind::Session) {
                let carried = document.history.carried.iter();
                owed.add(&payment.key, customer, carried.map(|(price, _)| price));
            }
        }
        owed.into_licenses()
    }

    /// The customer whose an account is, if what it pays for counts.
    fn owner(&self, account: &ObjectKey) -> Option<&CustomerId> {
        let account = self.accounts.get(account).filter(|it| self.counts(it))?;
        self.customer_of(&account.key).map(|it| &it.id)
    }

    /// Returns the sources of test mode that count no more, because live events have come. Before, they
    /// may have counted, and a licence may have been made for them; had the live events come first,
    /// there would be none.
    ///
    /// What an account sold that the app names no more is not among them: it counts again when the app
    /// names the account again, and its keys are with people.
    pub fn sources_turned_off(&self, owed: &[OwedLicense]) -> BTreeSet<ObjectKey> {
        let counting: BTreeSet<&ObjectKey> = owed.iter().map(|it| &it.source).collect();
        let sources = self.subscriptions.keys().chain(self.payments.keys());
        let off = sources.filter(|it| self.is_off(&it.scope) && !counting.contains(it));
        off.cloned().collect()
    }
}

/// By source and product, the plan and the customer.
struct Owed<'a> {
    working_set: &'a WorkingSet,
    all: BTreeMap<(ObjectKey, String), (String, CustomerId)>,
}

impl Owed<'_> {
    /// Adds what prices of a source buy for a customer.
    fn add<'p>(
        &mut self,
        source: &ObjectKey,
        customer: &CustomerId,
        prices: impl Iterator<Item = &'p Price>,
    ) {
        let working_set = self.working_set;
        for price in prices {
            if let Some((id, plan)) = price.plan(&source.scope, &working_set.plans) {
                let products = plan.licenses.iter().map(|it| &it.product);
                self.add_products(source, id, products, customer);
            }
        }
    }

    fn add_products<'p>(
        &mut self,
        source: &ObjectKey,
        plan: &String,
        products: impl Iterator<Item = &'p String>,
        customer: &CustomerId,
    ) {
        for product in products {
            let entry = self.all.entry((source.clone(), product.clone()));
            let (known, _) = entry.or_insert_with(|| (plan.clone(), customer.clone()));
            if *plan < *known {
                known.clone_from(plan);
            }
        }
    }

    fn into_licenses(self) -> Vec<OwedLicense> {
        let documents = self.working_set.payments.keys();
        let documents: Vec<_> = documents
            .map(|key| (self.working_set.document_of(key), key))
            .filter(|(document, key)| document != *key)
            .collect();
        let all = self.all.into_iter();
        all.map(|((source, product), (plan, customer))| {
            let same = documents.iter().filter(|(document, _)| *document == source);
            OwedLicense {
                documents: same.map(|(_, key)| (*key).clone()).collect(),
                source,
                product,
                plan,
                customer,
            }
        })
        .collect()
    }
}
