//! The expected state: a deliberately simple model that saw everything happen in order.
//!
//! The lives recorded what was done to whom, what was billed, what became of the money, and who
//! said who somebody is: an admin, the seller, the address. The
//! model evaluates that as a person would, under the default policy, but for accounts of one
//! address: the best that a customer has
//! decides; a failure suspends after a week, and ends the subscription after thirty days; a pause
//! suspends; what has ended leaves what was paid for, price by price ([`worth`]); a lost dispute
//! holds what it is about, until that is paid again. The model uses no code of the domain, or the
//! rig would only show that the domain agrees with itself.

mod worth;

use std::collections::BTreeSet;

use self::worth::{Eyes, Source, Worth};
use super::person::{Account, ActKind, DisputeStage, Person, SameEmail};
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
/// hands or does not join; none if nothing was posted about the person and no admin made one.
pub(super) fn expect(
    people: &[Person],
    person: &Person,
    same_email: SameEmail,
    now: Timestamp,
) -> Vec<Picture> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    if person.admin_made.is_some() {
        groups.push(Vec::new());
    }
    for account in in_order(person) {
        let with = |it: usize| groups.iter().position(|group| group.contains(&it));
        let group = match place(person, account, same_email) {
            Place::Made => Some(0),
            Place::With(it) => with(it),
            Place::Own => None,
        };
        match group {
            Some(group) => groups[group].push(account),
            None => groups.push(vec![account]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|it| (person.accounts[*it].opened, *it));
    }
    let is_made_by_admin = |index: usize| index == 0 && person.admin_made.is_some();
    let picture = |(index, accounts): (usize, &Vec<usize>)| {
        let by_admin = is_made_by_admin(index);
        let mut picture = picture(person, accounts, by_admin, now);
        picture.email = picture.email.or_else(|| address(people, person, accounts));
        if same_email == SameEmail::Flag {
            let shared = shared(person, accounts, by_admin).into_iter();
            let flag = |subject| ("same_email".to_owned(), subject);
            picture.flags.extend(shared.map(flag));
        }
        picture
    };
    groups.iter().enumerate().map(picture).collect()
}

/// Returns a person's accounts that count, those first that others can follow.
fn in_order(person: &Person) -> Vec<usize> {
    let all = 0..person.accounts.len();
    let mut all: Vec<usize> = all.filter(|it| person.accounts[*it].is_there()).collect();
    all.sort_by_key(|it| {
        let rank = match person.put(*it) {
            Some(ActKind::LinkToMade | ActKind::Part) => 0,
            None => 1,
            Some(ActKind::LinkToFirst) => 2,
        };
        (rank, person.accounts[*it].opened, *it)
    });
    all
}

/// Where an account belongs.
enum Place {
    /// To the customer that an admin made.
    Made,
    /// To the customer of another account.
    With(usize),
    /// To one of its own.
    Own,
}

fn place(person: &Person, index: usize, same_email: SameEmail) -> Place {
    let account = &person.accounts[index];
    match person.put(index) {
        Some(ActKind::LinkToMade) => return Place::Made,
        Some(ActKind::LinkToFirst) => return Place::With(0),
        Some(ActKind::Part) => return Place::Own,
        None => {}
    }
    let admin = person.admin_made.as_ref();
    let is_named = admin.is_some_and(|admin| {
        admin.external_id == account.external_id()
            || admin.external_id == account.place(&account.id)
    });
    if is_named {
        return Place::Made;
    }
    if let Some(id) = &account.seller_id {
        if admin.is_some_and(|it| it.external_id == *id || it.user_id.as_ref() == Some(id)) {
            return Place::Made;
        }
        // Who is known here by that id first; where an admin put one of them, all are.
        let others = in_order(person).into_iter().filter(|it| {
            let other = &person.accounts[*it];
            let is_same = other.seller_id.as_ref() == Some(id) && other.side == account.side;
            is_same && person.put(*it) != Some(ActKind::Part)
        });
        let first = others.min_by_key(|it| {
            let is_put = person.put(*it).is_some();
            (!is_put, person.accounts[*it].opened)
        });
        if let Some(first) = first.filter(|it| *it != index) {
            return Place::With(first);
        }
    }
    let leader = leader(person, index).filter(|_| same_email == SameEmail::Join);
    match leader {
        Some(Leader::Admin) => Place::Made,
        Some(Leader::Account(it)) => Place::With(it),
        None => Place::Own,
    }
}

/// Who had the first address of an account before it.
enum Leader {
    Admin,
    Account(usize),
}

fn leader(person: &Person, account: usize) -> Option<Leader> {
    let it = &person.accounts[account];
    let admin = person.admin_made.as_ref();
    if admin.is_some_and(|admin| is_same(&admin.email, &it.first_email)) {
        return Some(Leader::Admin);
    }
    it.follows.map(Leader::Account)
}

fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Returns the accounts that share their address with a customer and do not belong to it, or
/// belong to it and share theirs with another. Of those that an admin put somewhere it is known.
fn shared(person: &Person, accounts: &[usize], by_admin: bool) -> Vec<String> {
    let open = in_order(person).into_iter();
    let open = open.filter(|index| person.put(*index).is_none());
    let is_split = |index: &usize| {
        let leads = match leader(person, *index) {
            Some(Leader::Admin) => by_admin,
            Some(Leader::Account(it)) => accounts.contains(&it),
            None => return false,
        };
        leads != accounts.contains(index)
    };
    let name = |index: usize| person.accounts[index].external_id();
    open.filter(is_split).map(name).collect()
}

/// Returns the address that is shown of accounts: one that is nobody else's, whether an admin gave
/// it to him, he had it first, or he changed to it before.
fn address(people: &[Person], person: &Person, accounts: &[usize]) -> Option<String> {
    let own = |index: &usize| {
        let email = &person.accounts[*index].email;
        let mut admins = people.iter().filter_map(|it| it.admin_made.as_ref());
        if admins.any(|admin| is_same(&admin.email, email)) {
            return false;
        }
        let all = people.iter().flat_map(|of| {
            let accounts = of.accounts.iter().enumerate();
            accounts.map(move |(index, it)| (of.index, index, it))
        });
        let open = all.filter(|(.., it)| it.is_there() && is_same(&it.email, email));
        let owner = open.min_by_key(|(.., it)| {
            let since = it.addresses.get(&email.to_lowercase());
            (!is_same(&it.first_email, email), since, &it.id)
        });
        owner.is_some_and(|(of, index, _)| of == person.index && accounts.contains(&index))
    };
    let shown = accounts.iter().find(|account| own(account))?;
    Some(person.accounts[*shown].email.clone())
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
    // The seller's own id, unless an admin has said that it is not.
    let by_seller = accounts
        .iter()
        .filter(|it| person.put(**it) != Some(ActKind::Part))
        .find_map(|it| person.accounts[*it].seller_id.clone());
    let external_id = admin.map(|it| it.external_id.clone()).or(by_seller);
    let external_id = external_id.or_else(|| first.map(Account::external_id));
    Picture {
        external_id: external_id.unwrap_or_default(),
        email: admin.map(|it| it.email.clone()),
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
        for subject in worth::unknown_purchases(bill, &person.accounts[bill.account]) {
            flag("unmapped_price", &subject);
        }
    }
    for index in subscriptions {
        let account = &person.accounts[person.subscriptions[*index].account];
        for price in eyes.unknown_prices(*index) {
            flag("unmapped_price", &account.place(price));
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
