//! The parts of a customer's page.

use super::when::{When, from_now};
use super::words::{self, Badge};
use crate::domain::access::license::License;
use crate::domain::access::live_grant::{GrantSource, LiveGrant};
use crate::domain::access::token::CustomerToken;
use crate::domain::customer::explain::{SourceCause, Step};
use crate::domain::customer::row::Customer;
use crate::domain::time::Timestamp;
use crate::http::input::written;
use crate::pipeline::customers::{CustomerDetails, LinkedAccount};
use crate::pipeline::licenses::LicensePage;

/// What comes next, if nothing happens before.
pub(super) struct StepRow {
    pub(super) at: When,
    pub(super) from_now: String,
    pub(super) status: Badge,
    pub(super) reason: String,
}

impl StepRow {
    pub(super) fn of(step: Step, now: Timestamp) -> Self {
        let overdue = step.overdue.first();
        let overdue = overdue.map(|id| format!("no word of {id} by then"));
        Self {
            at: When(step.at),
            from_now: from_now(step.at, now),
            status: Badge::status(step.status),
            reason: step.reason.or(overdue).unwrap_or_default(),
        }
    }
}

/// A source of access.
pub(super) struct SourceRow {
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) verdict: Badge,
    pub(super) because: String,
    pub(super) gives: Vec<String>,
    pub(super) paid_until: Option<When>,
}

impl From<SourceCause> for SourceRow {
    fn from(source: SourceCause) -> Self {
        let verdict = match (source.verdict, source.uncounted) {
            (Some(verdict), _) => {
                let word = verdict.as_str();
                let tone = if word == "good" { "good" } else { "warn" };
                Badge::new(word, tone)
            }
            (None, Some(uncounted)) => Badge::new(uncounted.as_str(), ""),
            (None, None) => Badge::new("counts nowhere", ""),
        };
        let gives = source.gives.into_iter().map(|given| {
            let until = given.until.map(|at| format!(", released by {at}"));
            let grant = given.grant;
            let until = until.unwrap_or_default();
            format!("{} {}{until}", grant.package, grant.constraint)
        });
        Self {
            kind: source.kind.as_str(),
            id: source.id,
            verdict,
            because: source.because,
            gives: gives.collect(),
            paid_until: source
                .paid_until
                .iter()
                .map(|it| When(it.until))
                .next_back(),
        }
    }
}

/// A package that the customer has.
pub(super) struct GrantRow {
    /// The query of a page that is about it.
    pub(super) query: String,
    pub(super) package: String,
    pub(super) constraint: String,
    pub(super) until: Option<When>,
    pub(super) source: String,
    pub(super) by_hand: bool,
    pub(super) expires_at: Option<When>,
}

impl From<LiveGrant> for GrantRow {
    fn from(live: LiveGrant) -> Self {
        let (source, by_hand, expires_at) = match live.source {
            GrantSource::Hand { expires_at, .. } => ("by hand".to_owned(), true, expires_at),
            GrantSource::Plan { price, .. } => (price, false, None),
        };
        let query = [("package".to_owned(), live.grant.package.clone())];
        Self {
            query: format!("?{}", written(&query).query().unwrap_or_default()),
            package: live.grant.package,
            constraint: live.grant.constraint,
            until: live.until.map(When),
            source,
            by_hand,
            expires_at: expires_at.map(When),
        }
    }
}

/// The packages that the customer has, by hand or by what it pays.
pub(super) fn grants_of(details: &CustomerDetails) -> Vec<GrantRow> {
    let live = details.granted.of(&details.customer);
    live.into_iter().map(GrantRow::from).collect()
}

/// A billing account.
pub(super) struct AccountRow {
    pub(super) provider: String,
    pub(super) id: String,
    pub(super) is_test: bool,
    pub(super) email: String,
    pub(super) tie: &'static str,
    /// The query of a page that is about it.
    pub(super) query: String,
}

impl From<LinkedAccount> for AccountRow {
    fn from(linked: LinkedAccount) -> Self {
        let LinkedAccount { account, tie } = linked;
        let scope = &account.key.scope;
        let mode = if scope.livemode { "live" } else { "test" };
        let mut query = vec![
            ("account".to_owned(), account.key.id.clone()),
            ("provider".to_owned(), scope.provider.to_string()),
            ("mode".to_owned(), mode.to_owned()),
        ];
        let connected = scope.connected.clone();
        query.extend(connected.map(|it| ("connected".to_owned(), it)));
        let email = account.history.contact().email;
        Self {
            query: format!("?{}", written(&query).query().unwrap_or_default()),
            provider: account.key.scope.provider.to_string(),
            is_test: !account.key.scope.livemode,
            email: email.map(|it| words::label(&it)).unwrap_or_default(),
            id: account.key.id,
            tie: words::tie(tie.as_str()),
        }
    }
}

/// An access token.
pub(super) struct TokenRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) created_at: When,
    pub(super) last_used_at: Option<When>,
    pub(super) expires_at: Option<When>,
    pub(super) is_expired: bool,
    pub(super) rotated_until: Option<When>,
}

impl TokenRow {
    pub(super) fn of(token: CustomerToken, now: Timestamp) -> Self {
        Self {
            is_expired: token.is_expired(now),
            id: token.id.into(),
            name: token.name,
            prefix: token.prefix,
            created_at: When(token.created_at),
            last_used_at: token.last_used_at.map(When),
            expires_at: token.expires_at.map(When),
            rotated_until: token.previous_until.filter(|until| now < *until).map(When),
        }
    }
}

/// A licence.
pub(super) struct LicenseRow {
    pub(super) product: String,
    pub(super) id: String,
    pub(super) state: Badge,
    pub(super) activations: u64,
    pub(super) expires_at: Option<When>,
}

impl LicenseRow {
    pub(super) fn all(page: LicensePage, customer: &Customer, now: Timestamp) -> Vec<Self> {
        let LicensePage {
            part,
            plans,
            activations,
            ..
        } = page;
        let rows = part.rows.into_iter().map(|sealed| {
            let license: License = sealed.license;
            let code = license.judge(customer, &plans, now);
            let state = Badge::validity(code);
            Self {
                activations: activations.get(&license.id).copied().unwrap_or_default(),
                expires_at: license.expires_at.map(When),
                id: license.id.into(),
                product: license.product,
                state,
            }
        });
        rows.collect()
    }
}

/// An open flag.
pub(super) struct FlagRow {
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) meaning: &'static str,
}

/// The open flags that are kept with the customer.
pub(super) fn flags_of(details: &CustomerDetails) -> Vec<FlagRow> {
    let flags = details.customer.flags().into_iter();
    let rows = flags.map(|flag| FlagRow {
        kind: flag.kind.as_str(),
        meaning: words::flag(flag.kind.as_str()),
        subject: flag.subject,
    });
    rows.collect()
}
