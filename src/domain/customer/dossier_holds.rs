//! The holds on a customer: an admin's, and those that its sources lead to.

use crate::domain::billing::assessment::Verdict;
use crate::domain::customer::dossier::Dossier;
use crate::domain::customer::row::{AdminHold, Hold, Status};
use crate::domain::customer::source::Source;
use crate::domain::id::ObjectKey;
use crate::domain::time::Timestamp;

/// A hold, the status that it leads to, and its reason.
pub(super) struct Held {
    pub(super) hold: Hold,
    pub(super) status: Status,
    pub(super) reason: Option<String>,
    /// The dispute or refund behind it.
    pub(super) subject: Option<ObjectKey>,
    /// The start: provider time; for an admin's hold the local clock.
    pub(super) since: Option<Timestamp>,
}

impl<'a> Dossier<'a> {
    /// Returns the hold that decides the status: the admin's, else the strictest.
    pub(super) fn deciding(held: &[Held]) -> Option<&Held> {
        let manual = held.iter().find(|held| held.hold == Hold::Manual);
        let reason = |held: &Held| std::cmp::Reverse(held.reason.clone());
        manual.or_else(|| held.iter().max_by_key(|held| (held.status, reason(held))))
    }

    /// Returns the admin's hold: the last of those on the customer's rows, and the strictest of one
    /// moment.
    pub(super) fn admin_hold(&self) -> Option<&'a AdminHold> {
        let holds = self.rows.iter().filter_map(|row| row.hold.as_ref());
        holds.max_by_key(|hold| (hold.since(), manual(hold).status))
    }

    /// Returns everything that holds the customer.
    pub(super) fn held(&self, verdict: Option<Verdict>) -> Vec<Held> {
        let mut held: Vec<Held> = self.admin_hold().map(manual).into_iter().collect();
        let status = verdict.and_then(|verdict| self.status_of(verdict));
        if let Some(status) = status {
            held.extend(self.billing_hold(status));
            held.extend(self.money_holds(status));
        }
        held
    }

    /// Returns the status that a verdict leads to; `None` for a good one.
    pub(super) fn status_of(&self, verdict: Verdict) -> Option<Status> {
        match verdict {
            Verdict::Good => None,
            Verdict::Kept => Some(Status::Frozen {
                at: self.kept_until()?,
            }),
            Verdict::Failing | Verdict::Held | Verdict::Paused => Some(Status::Suspended),
            Verdict::Ended => Some(Status::Expired),
        }
    }

    /// Returns the latest date that a source leaves something to.
    fn kept_until(&self) -> Option<Timestamp> {
        let kept = self.sources.iter();
        let kept = kept.filter(|source| source.verdict == Some(Verdict::Kept));
        let dates = kept.flat_map(|source| source.gives.iter().filter_map(|gift| gift.until));
        dates.max()
    }

    /// Returns the hold by billing itself, if sources lead to this status without any dispute.
    fn billing_hold(&self, status: Status) -> Option<Held> {
        let leads = |source: &&Source| {
            let own = source.own.filter(|_| source.verdict.is_some());
            own.and_then(|own| self.status_of(own)) == Some(status)
        };
        let causes = self.sources.iter().filter(leads);
        let best = causes.min_by_key(|source| (source.own, source.reason, source.since))?;
        let same = self
            .sources
            .iter()
            .filter(leads)
            .filter(|it| it.own == best.own);
        let since = same.filter_map(|source| source.since);
        Some(Held {
            hold: Hold::Billing,
            status,
            reason: best.reason.map(str::to_owned),
            subject: None,
            since: match best.own {
                Some(Verdict::Failing) => since.min(),
                _ => since.max(),
            },
        })
    }

    /// Returns the disputes and refunds that hold sources which lead to this status.
    fn money_holds(&self, status: Status) -> Vec<Held> {
        let mut holds: Vec<Held> = Vec::new();
        for it in &self.actions.acting {
            // A source that something else ends is held by nothing.
            let verdict = self.sources[it.source].verdict;
            let verdict = verdict.filter(|verdict| *verdict == it.verdict());
            let leads = verdict.and_then(|verdict| self.status_of(verdict)) == Some(status);
            let known = holds
                .iter()
                .any(|held| held.subject.as_ref() == Some(&it.subject));
            if leads && !known {
                holds.push(Held {
                    hold: it.hold,
                    status,
                    reason: Some(it.reason.to_owned()),
                    subject: Some(it.subject.clone()),
                    since: Some(it.since),
                });
            }
        }
        holds
    }
}

/// Returns the hold that an admin's hold amounts to.
fn manual(hold: &AdminHold) -> Held {
    let (status, reason) = match hold {
        AdminHold::Suspended { reason, .. } => (Status::Suspended, reason.clone()),
        AdminHold::Expired { reason, .. } => (Status::Expired, reason.clone()),
        AdminHold::Frozen { at, .. } => (Status::Frozen { at: *at }, None),
    };
    Held {
        hold: Hold::Manual,
        status,
        reason,
        subject: None,
        since: Some(hold.since()),
    }
}
