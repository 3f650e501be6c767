//! The expected state: a deliberately simple model that saw everything happen in order.
//!
//! The lives recorded what was done to whom. The model evaluates that as a person would, under the
//! default policy: one good subscription is enough; a failure suspends, and ends the subscription
//! after two weeks; a pause suspends; when everything has ended, the customer is frozen at the last
//! end; a lost dispute holds. The model uses no code of the domain, or the rig would only show that
//! the domain agrees with itself.

use std::collections::BTreeSet;

use super::life::{END_AFTER, seconds};
use super::person::{DisputeStage, Person, Phase, Subscription};
use crate::domain::time::Timestamp;

/// The expected or actual state of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) external_id: String,
    pub(super) email: Option<String>,
    pub(super) name: Option<String>,
    pub(super) status: String,
    /// The reason, if there is exactly one hold.
    pub(super) reason: Option<String>,
    pub(super) holds: BTreeSet<String>,
    pub(super) frozen_at: Option<String>,
    /// Kind and subject.
    pub(super) flags: BTreeSet<(String, String)>,
    /// Package, constraint, price and subscription.
    pub(super) packages: BTreeSet<[String; 4]>,
    pub(super) subscriptions: BTreeSet<Bought>,
}

/// The expected or actual state of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bought {
    pub(super) id: String,
    /// The provider's status.
    pub(super) status: String,
    /// `good`, `failing`, `paused` or `ended`; none if it does not count.
    pub(super) verdict: Option<String>,
    pub(super) ended_at: Option<String>,
}

impl std::fmt::Display for Bought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = self.verdict.as_deref().unwrap_or("not counted");
        write!(f, "{} {} ({verdict})", self.id, self.status)?;
        match &self.ended_at {
            Some(ended_at) => write!(f, " ended at {ended_at}"),
            None => Ok(()),
        }
    }
}

/// The verdict on a subscription, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Good,
    Failing,
    Paused,
    Ended,
}

/// Returns the customers that a person should have become: one, or several if an address changed
/// hands; none if nothing was posted about the person and no admin made one.
pub(super) fn expect(person: &Person, now: Timestamp) -> Vec<Picture> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let joins_admin = |account: usize| {
        let email = |text: &str| text.to_lowercase();
        person.admin_made.as_ref().is_some_and(|admin| {
            let first = &person.accounts[account];
            account == 0 || email(&first.first_email) == email(&admin.email)
        })
    };
    if person.admin_made.is_some() {
        groups.push(Vec::new());
    }
    for (index, account) in person.accounts.iter().enumerate() {
        if !account.is_open {
            continue;
        }
        let follows = account.follows;
        let known = |group: &&mut Vec<usize>| follows.is_some_and(|it| group.contains(&it));
        if joins_admin(index) {
            groups[0].push(index);
        } else if let Some(group) = groups.iter_mut().find(known) {
            group.push(index);
        } else {
            groups.push(vec![index]);
        }
    }
    let is_made_by_admin = |index: usize| index == 0 && person.admin_made.is_some();
    let picture = |(index, accounts): (usize, &Vec<usize>)| {
        picture(person, accounts, is_made_by_admin(index), now)
    };
    groups.iter().enumerate().map(picture).collect()
}

fn picture(person: &Person, accounts: &[usize], by_admin: bool, now: Timestamp) -> Picture {
    let admin = person.admin_made.as_ref().filter(|_| by_admin);
    let first = accounts.first().map(|index| &person.accounts[*index]);
    let own = |it: &&Subscription| accounts.contains(&it.account);
    let subscriptions: Vec<&Subscription> = person.subscriptions.iter().filter(own).collect();
    let worths: Vec<(&Subscription, Worth, Option<Timestamp>)> = subscriptions
        .iter()
        .filter_map(|it| worth(it, now).map(|(worth, ended)| (*it, worth, ended)))
        .collect();
    let best = worths.iter().map(|(_, worth, _)| *worth).min();
    let ended_at = worths.iter().filter_map(|(_, _, ended)| *ended).max();
    let has_lost = disputes(person, accounts, |it| it == DisputeStage::Lost).next();

    let billing = match best {
        None | Some(Worth::Good) => None,
        Some(Worth::Failing) => Some(("suspended", "payment_failed")),
        Some(Worth::Paused) => Some(("suspended", "subscription_paused")),
        Some(Worth::Ended) => Some(("frozen", "subscription_ended")),
    };
    let dispute = has_lost.map(|_| ("suspended", "dispute_lost"));
    let (status, reason) = match (billing, dispute) {
        (None, None) => ("active", None),
        (Some((status, reason)), None) | (None, Some((status, reason))) => (status, Some(reason)),
        (Some(_), Some((status, _))) => (status, None),
    };
    let is_frozen = status == "frozen";
    let counting = worths
        .iter()
        .filter(|(_, worth, _)| *worth == Worth::Good || is_frozen && *worth == Worth::Ended);
    let holds = [billing.map(|_| "billing"), dispute.map(|_| "dispute")];
    Picture {
        external_id: match (admin, first) {
            (Some(admin), _) => admin.external_id.clone(),
            (None, Some(first)) => format!("{}_{}", first.provider, first.id),
            (None, None) => String::new(),
        },
        email: admin
            .map(|it| &it.email)
            .or(first.map(|it| &it.email))
            .cloned(),
        name: admin
            .map(|it| &it.name)
            .or(first.map(|it| &it.name))
            .cloned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        holds: holds.into_iter().flatten().map(str::to_owned).collect(),
        frozen_at: ended_at.filter(|_| is_frozen).map(|at| at.to_string()),
        flags: flags(person, accounts),
        packages: counting.flat_map(|(it, _, _)| packages(it)).collect(),
        subscriptions: subscriptions.iter().map(|it| bought(it, now)).collect(),
    }
}

/// Returns the present verdict on a subscription and its end; `None` if it never began.
fn worth(it: &Subscription, now: Timestamp) -> Option<(Worth, Option<Timestamp>)> {
    match it.phase {
        Phase::Incomplete | Phase::IncompleteExpired => None,
        Phase::Canceled => it.has_begun.then_some((Worth::Ended, it.ended_at)),
        Phase::Paused => Some((Worth::Paused, None)),
        Phase::PastDue | Phase::Unpaid => {
            let since = it.failing_since?;
            let end = Timestamp::from_nanos(since.nanos() + END_AFTER * 1_000_000_000);
            Some(if end <= now {
                (Worth::Ended, Some(end))
            } else {
                (Worth::Failing, None)
            })
        }
        Phase::Trialing | Phase::Active => Some(match it.cancel_at.map(seconds) {
            Some(end) if end <= now => (Worth::Ended, Some(end)),
            _ => (Worth::Good, None),
        }),
    }
}

fn disputes<'a>(
    person: &'a Person,
    accounts: &'a [usize],
    stands: impl Fn(DisputeStage) -> bool + 'a,
) -> impl Iterator<Item = &'a str> {
    let own = |payment: usize| accounts.contains(&person.payments[payment].account);
    let all = person.disputes.iter();
    all.filter(move |it| own(it.payment) && stands(it.standing))
        .map(|it| it.id.as_str())
}

fn flags(person: &Person, accounts: &[usize]) -> BTreeSet<(String, String)> {
    let is_open = |it| matches!(it, DisputeStage::Inquiry | DisputeStage::Open);
    let open = disputes(person, accounts, is_open).map(|id| ("open_dispute", id));
    let refunds = person.refunds.iter();
    let full = refunds
        .filter(|(account, _)| accounts.contains(account))
        .map(|(_, id)| ("full_refund", id.as_str()));
    open.chain(full)
        .map(|(kind, id)| (kind.to_owned(), id.to_owned()))
        .collect()
}

fn packages(it: &Subscription) -> impl Iterator<Item = [String; 4]> {
    let of_item = |item: &super::person::Item| {
        let price = item.price;
        price.packages.iter().map(|(package, constraint)| {
            [package, constraint, &price.id].map(|it| (*it).to_owned())
        })
    };
    it.items
        .iter()
        .flat_map(of_item)
        .map(|[package, constraint, price]| [package, constraint, price, it.id.clone()])
}

fn bought(it: &Subscription, now: Timestamp) -> Bought {
    let worth = worth(it, now);
    let by_timer = worth.and_then(|(_, ended)| ended);
    let verdict = worth.map(|(worth, _)| match worth {
        Worth::Good => "good",
        Worth::Failing => "failing",
        Worth::Paused => "paused",
        Worth::Ended => "ended",
    });
    Bought {
        id: it.id.clone(),
        status: it.phase.word().to_owned(),
        verdict: verdict.map(str::to_owned),
        ended_at: it.ended_at.or(by_timer).map(|at| at.to_string()),
    }
}
