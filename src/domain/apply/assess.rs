//! The assessment of one subscription of a working set.

use crate::domain::apply::payments::Payments;
use crate::domain::apply::working_set::{Account, WorkingSet};
use crate::domain::billing::assessment::{Assessment, Terms, assessment};
use crate::domain::billing::payment::Payment;
use crate::domain::billing::subscription_view::SubscriptionView;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

impl WorkingSet {
    /// Assesses a subscription; `None` if it is not in this working set.
    pub fn assessment(&self, subscription: &ObjectKey, now: Timestamp) -> Option<Assessment> {
        self.assess(subscription, now, |assessment, _| assessment)
    }

    /// Returns a subscription as it is shown; `None` if it is not in this working set.
    pub fn subscription_view(
        &self,
        subscription: &ObjectKey,
        now: Timestamp,
    ) -> Option<SubscriptionView> {
        let account = self.subscriptions.get(subscription)?.account.as_ref();
        self.assess(subscription, now, |assessment, payments| {
            SubscriptionView::new(&assessment, account, payments)
        })
    }

    fn assess<T>(
        &self,
        key: &ObjectKey,
        now: Timestamp,
        then: impl FnOnce(Assessment, &[&Payment<'_>]) -> T,
    ) -> Option<T> {
        let subscription = self.subscriptions.get(key)?;
        let account = subscription
            .account
            .as_ref()
            .and_then(|key| self.accounts.get(key));
        let of_account = account.map(Account::terms).unwrap_or_default();
        let payments = Payments::of(self, &subscription.account.iter().collect());
        let payments: Vec<&Payment<'_>> = payments.of_subscription(key).collect();
        let terms = Terms {
            policy: &self.policy,
            plans: &self.plans,
            now,
        };
        let history = &subscription.history;
        let assessed = assessment(key, history, &payments, of_account, terms, false);
        Some(then(assessed, &payments))
    }
}
