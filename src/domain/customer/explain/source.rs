//! The sources of a customer, each with how it counts and why.

use std::collections::BTreeSet;

use super::explanation::{GivenPackage, PaidUntil, SourceCause, Uncounted};
use super::source_words;
use crate::domain::access::hand_grant::{GrantBilling, HandGrant};
use crate::domain::access::live_grant::{GrantSource, LiveGrant};
use crate::domain::access::plan::{Entitlement, licenses};
use crate::domain::apply::working_set::{Account, Subscription};
use crate::domain::billing::assessment::{Assessment, Standing, Verdict};
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::holds::Acting;
use crate::domain::customer::row::{Derived, Status};
use crate::domain::customer::source::{Source, SourceKind};
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// Explains all sources, in the order of the dossier: subscriptions, purchases, grants by hand.
pub(super) fn sources(dossier: &Dossier<'_>, shown: &Derived, now: Timestamp) -> Vec<SourceCause> {
    let billed = dossier.sources.iter().enumerate();
    let billed = billed.filter_map(|(place, source)| {
        let key = source.key.as_ref()?;
        let acting: Vec<&Acting> = dossier
            .actions
            .acting
            .iter()
            .filter(|it| it.source == place)
            .collect();
        let it = Billed {
            dossier,
            shown,
            source,
            key,
            acting: &acting,
        };
        match source.kind {
            SourceKind::Subscription => Some(it.subscription(dossier.subscriptions.get(place)?)),
            SourceKind::Purchase => Some(it.purchase()),
            SourceKind::Grant => None,
        }
    });
    let mut grants: Vec<&HandGrant> = dossier.grants.clone();
    grants.sort();
    let by_hand = grants.into_iter();
    let by_hand = by_hand.map(|grant| of_grant(dossier, shown, grant, now));
    billed.chain(by_hand).collect()
}

/// A subscription or purchase, with everything that its explanation rests on.
struct Billed<'a> {
    dossier: &'a Dossier<'a>,
    shown: &'a Derived,
    source: &'a Source,
    key: &'a ObjectKey,
    acting: &'a [&'a Acting],
}

impl Billed<'_> {
    fn subscription(&self, it: &(&Subscription, Assessment)) -> SourceCause {
        let (subscription, assessment) = it;
        let (dossier, source) = (self.dossier, self.source);
        let uncounted = match (source.verdict, source.own) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(Uncounted::NeverPaid),
            (None, None) => Some(match assessment.standing {
                Standing::Unknown => Uncounted::UnknownStatus,
                Standing::Pending => Uncounted::Pending,
                _ if assessment.is_foreign && source.unmapped.is_empty() => Uncounted::Foreign,
                _ if assessment.is_foreign => Uncounted::UnmappedPrice,
                _ => Uncounted::NeverBegan,
            }),
        };
        let owner = |account: &&&Account| Some(&account.key) == subscription.account.as_ref();
        let removed_at = dossier.accounts.iter().find(owner);
        let removed_at = removed_at.and_then(|account| account.history.removed_at);
        let paid_until = assessment.paid_until.iter();
        let mut cause = self.common();
        cause.paid_until = paid_until
            .map(|(price, until)| PaidUntil {
                price: price.price.clone(),
                until: *until,
            })
            .collect();
        cause.never_paid = assessment.never_paid;
        cause.uncounted = uncounted;
        let told =
            source_words::subscription(&self.key.id, assessment, removed_at, source, dossier);
        cause.because = told + &source_words::besides(source, self.acting, uncounted);
        cause
    }

    fn purchase(&self) -> SourceCause {
        let source = self.source;
        let mut cause = self.common();
        cause.uncounted = match (source.verdict, source.own) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(Uncounted::Refunded),
            (None, None) if source.unmapped.is_empty() => Some(Uncounted::Foreign),
            (None, None) => Some(Uncounted::UnmappedPrice),
        };
        let told = source_words::purchase(&self.key.id, source);
        cause.because = told + &source_words::besides(source, self.acting, cause.uncounted);
        cause
    }

    /// Explains what subscriptions and purchases have in common.
    fn common(&self) -> SourceCause {
        let Self {
            dossier,
            shown,
            source,
            key,
            acting,
        } = self;
        let deciding = match source.verdict {
            Some(Verdict::Held) => acting.iter().min_by_key(|it| (it.since, it.reason)),
            Some(Verdict::Ended) => {
                let ending = acting.iter().filter(|it| it.expires());
                ending.min_by_key(|it| (it.since, it.reason))
            }
            _ => None,
        };
        let mut held_by: Vec<String> = acting.iter().map(|it| it.subject.id.clone()).collect();
        held_by.sort();
        held_by.dedup();
        let reason = deciding.map(|it| it.reason).or(source.reason);
        let since = deciding.map(|it| it.since).or(source.since);
        SourceCause {
            kind: source.kind,
            provider: Some(key.scope.provider),
            id: key.id.clone(),
            livemode: Some(key.scope.livemode),
            account: source.account.as_ref().map(|key| key.id.clone()),
            verdict: source.verdict,
            reason: reason.filter(|_| source.verdict.is_some()),
            since: since.filter(|_| source.verdict.is_some()),
            uncounted: None,
            gives: given(dossier, shown, source, key),
            licenses: licenses_given(dossier, shown, source, key),
            paid_until: Vec::new(),
            never_paid: false,
            held_by,
            billing: None,
            expires_at: None,
            due_at: source.due_at,
            because: String::new(),
        }
    }
}

/// Returns the packages that a source gives the customer now. Sources of one document, which are
/// several purchases, each give those of their own price.
fn given(
    dossier: &Dossier<'_>,
    shown: &Derived,
    source: &Source,
    key: &ObjectKey,
) -> Vec<GivenPackage> {
    let live = entitlements(shown, source, key);
    let live = live.flat_map(|it| LiveGrant::of_price(it, dossier.plans, shown));
    let mut given: Vec<GivenPackage> = live
        .map(|it| GivenPackage {
            price: match it.source {
                GrantSource::Plan { price, .. } => Some(price),
                GrantSource::Hand { .. } => None,
            },
            grant: it.grant,
            until: it.until,
        })
        .collect();
    given.sort();
    given
}

/// Returns the products of which a source gives the customer a licence now.
fn licenses_given(
    dossier: &Dossier<'_>,
    shown: &Derived,
    source: &Source,
    key: &ObjectKey,
) -> BTreeSet<String> {
    let given = entitlements(shown, source, key);
    let given = given.flat_map(|it| licenses(dossier.plans, it));
    given.map(|license| license.product.clone()).collect()
}

/// Returns the prices of a source that count now.
fn entitlements<'a>(
    shown: &'a Derived,
    source: &'a Source,
    key: &'a ObjectKey,
) -> impl Iterator<Item = &'a Entitlement> {
    let own = |price: &str| {
        let mut gifts = source.gives.iter().chain(&source.as_if_good);
        gifts.any(|gift| gift.price.price == price)
    };
    let entitlements = shown.entitlements.iter();
    entitlements.filter(move |it| it.source == *key && own(&it.price))
}

fn of_grant(
    dossier: &Dossier<'_>,
    shown: &Derived,
    grant: &HandGrant,
    now: Timestamp,
) -> SourceCause {
    let is_live = grant.is_live(now);
    let another = dossier.grants.iter().any(|other| other.is_live(now));
    let uncounted = match grant.billing {
        GrantBilling::Follow => Some(Uncounted::FollowsBilling),
        GrantBilling::Ignore if !is_live && another => Some(Uncounted::RanOut),
        GrantBilling::Ignore => None,
    };
    let is_open = matches!(shown.status, Status::Active | Status::Frozen { .. });
    let given = (is_live && is_open).then(|| GivenPackage {
        grant: grant.grant.clone(),
        price: None,
        until: shown.frozen_at,
    });
    let expired = grant.expires_at.filter(|_| !is_live);
    SourceCause {
        kind: SourceKind::Grant,
        provider: None,
        id: grant.grant.package.clone(),
        livemode: None,
        account: None,
        verdict: match uncounted {
            Some(_) => None,
            None if is_live => Some(Verdict::Good),
            None => Some(Verdict::Ended),
        },
        reason: expired.map(|_| "grant_expired"),
        since: expired,
        uncounted,
        gives: given.into_iter().collect(),
        licenses: BTreeSet::new(),
        paid_until: Vec::new(),
        never_paid: false,
        held_by: Vec::new(),
        billing: Some(grant.billing),
        expires_at: grant.expires_at,
        due_at: grant.expires_at.filter(|_| is_live),
        because: source_words::grant(grant, is_live, shown.frozen_at),
    }
}
