//! The expected state: a deliberately simple model that saw everything happen in order.
//!
//! The lives recorded what was done to whom, what was billed, and what became of the money. The
//! model evaluates that as a person would, under the default policy: the best that a customer has
//! decides; a failure suspends after a week, and ends the subscription after thirty days; a pause
//! suspends; what has ended leaves what was paid for, price by price ([`worth`]); a lost dispute
//! holds what it is about, until that is paid again. The model uses no code of the domain, or the
//! rig would only show that the domain agrees with itself.

mod worth;

use std::collections::BTreeSet;

use self::worth::{Eyes, Source, Worth};
use super::person::{DisputeStage, Person};
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
    /// Package, constraint, price, subscription or payment, and the end of what is included.
    pub(super) packages: BTreeSet<[String; 5]>,
    pub(super) subscriptions: BTreeSet<Bought>,
}

/// The expected or actual state of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bought {
    pub(super) id: String,
    /// The provider's status.
    pub(super) status: String,
    /// `good`, `kept`, `failing`, `held`, `paused` or `ended`; none if it does not count.
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
    let eyes = Eyes { person, now };
    let own = |account: usize| accounts.contains(&account);
    let subscriptions: Vec<usize> = (0..person.subscriptions.len())
        .filter(|index| own(person.subscriptions[*index].account))
        .collect();
    let bills = person.bills.iter().filter(|bill| own(bill.account));
    let mut sources: Vec<Source<'_>> = Vec::new();
    sources.extend(subscriptions.iter().filter_map(|it| eyes.subscription(*it)));
    sources.extend(bills.flat_map(|bill| eyes.purchases(bill)));

    let best = sources.iter().map(|it| it.worth).min();
    let status = best.map_or("active", Worth::status);
    let left = sources.iter().filter(|it| it.worth == Worth::Kept);
    let dates = left.flat_map(|it| it.gives.iter().filter_map(|(_, until)| *until));
    let frozen_at = dates.max().filter(|_| status == "frozen");
    let is_open = matches!(status, "active" | "frozen");
    let giving = sources
        .iter()
        .filter(|it| is_open && matches!(it.worth, Worth::Good | Worth::Kept));
    // What decides: the state of a source itself, or the dispute that holds it.
    let by_billing = sources
        .iter()
        .filter(|it| status != "active" && it.own.status() == status);
    let by_billing = by_billing.min_by_key(|it| (it.own, it.reason));
    let by_dispute = sources.iter().any(|it| it.worth == Worth::Held) && status == "suspended";
    let holds = [
        by_billing.map(|_| "billing"),
        by_dispute.then_some("dispute"),
    ];
    let reason = match (by_billing, by_dispute) {
        (Some(source), false) => Some(source.reason),
        (None, true) => Some("dispute_lost"),
        _ => None,
    };
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
        frozen_at: frozen_at.map(|at| at.to_string()),
        flags: flags(eyes, accounts, &subscriptions),
        packages: giving.flat_map(packages).collect(),
        subscriptions: subscriptions.iter().map(|it| bought(eyes, *it)).collect(),
    }
}

fn flags(
    eyes: Eyes<'_>,
    accounts: &[usize],
    subscriptions: &[usize],
) -> BTreeSet<(String, String)> {
    let person = eyes.person;
    let own = |account: usize| accounts.contains(&account);
    let mut flags = BTreeSet::new();
    let mut flag = |kind: &str, subject: &str| {
        flags.insert((kind.to_owned(), subject.to_owned()));
    };
    let disputes = person.disputes.iter();
    for it in disputes.filter(|it| own(person.bills[it.bill].account)) {
        match it.standing {
            DisputeStage::Inquiry | DisputeStage::Open => flag("open_dispute", &it.id),
            DisputeStage::Lost if eyes.is_paid_since(it) => flag("paid_though_held", &it.id),
            DisputeStage::Lost | DisputeStage::Over => {}
        }
    }
    for (account, warning) in &person.warnings {
        if own(*account) {
            flag("fraud_warning", warning);
        }
    }
    for bill in person.bills.iter().filter(|bill| own(bill.account)) {
        if worth::is_given_back(bill) {
            flag("full_refund", &bill.id);
        }
        for subject in worth::unknown_purchases(bill) {
            flag("unmapped_price", subject);
        }
    }
    for index in subscriptions {
        for price in eyes.unknown_prices(*index) {
            flag("unmapped_price", price);
        }
        if eyes.is_silent(*index) {
            flag("overdue", &person.subscriptions[*index].id);
        }
    }
    flags
}

fn packages<'a>(source: &'a Source<'a>) -> impl Iterator<Item = [String; 5]> + 'a {
    source.gives.iter().flat_map(move |(price, until)| {
        let until = until.map(|until| until.to_string()).unwrap_or_default();
        price.packages().iter().map(move |(package, constraint)| {
            [package, constraint, price.id, source.id, &until].map(str::to_owned)
        })
    })
}

fn bought(eyes: Eyes<'_>, index: usize) -> Bought {
    let it = &eyes.person.subscriptions[index];
    let ended_at = eyes.end(it);
    Bought {
        id: it.id.clone(),
        status: it.told.word().to_owned(),
        verdict: eyes
            .subscription(index)
            .map(|source| source.worth.word().to_owned()),
        ended_at: ended_at.map(|at| at.to_string()),
    }
}
