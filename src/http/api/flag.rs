//! Flags as answers show them.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use super::time;
use crate::domain::customer::flag::{Flag, FlagHolder, FlagKind, HeldFlag};
use crate::domain::customer::row::Customer;
use crate::domain::id::Provider;
use crate::http::openapi::words;
use crate::pipeline::flags::OpenFlag;
use crate::store::{FlagLink, Granted};

/// Something that a person should look at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Flag)]
pub(in crate::http) struct FlagView {
    id: String,
    #[schema(schema_with = words::flag_kind)]
    kind: &'static str,
    /// The provider's id of the object or event that it is about, or a package, or the id of a hook.
    #[schema(examples("price_1Q2w3e4R5t6Y7u8I"))]
    subject: String,
    /// The provider's time of the fact that decided it; null for mistakes of set-up. Of
    /// `same_id_other_body`, when the other body came.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// The customer whose flag it is; null where none was found.
    customer_id: Option<String>,
    /// Of `same_email`, the call that makes the two customers one; null for other kinds.
    link: Option<LinkView>,
    /// Of `same_id_other_body`, the digests of both bodies; null for other kinds.
    bodies: Option<BodiesView>,
}

/// A call that links a billing account to a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FlagLink)]
struct LinkView {
    #[schema(examples("POST"))]
    method: &'static str,
    #[schema(examples("/api/v1/customers/cust_0198c5b0a7d07c0fb5a4e0a53d2ad6a1/accounts"))]
    path: String,
    body: LinkBody,
}

/// The body of such a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FlagLinkBody)]
struct LinkBody {
    #[schema(schema_with = words::provider)]
    provider: Provider,
    account: String,
    /// The connected account (Stripe Connect) that it belongs to; missing otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    connected_account: Option<String>,
    /// Its mode, where the other one has an account of this id too; missing otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    livemode: Option<bool>,
}

impl From<&FlagLink> for LinkView {
    fn from(link: &FlagLink) -> Self {
        let scope = &link.account.scope;
        Self {
            method: "POST",
            path: format!("/api/v1/customers/{}/accounts", link.customer),
            body: LinkBody {
                provider: scope.provider,
                account: link.account.id.clone(),
                connected_account: scope.connected.clone(),
                livemode: link.in_both_modes.then_some(scope.livemode),
            },
        }
    }
}

impl From<OpenFlag> for FlagView {
    fn from(open: OpenFlag) -> Self {
        Self::of(&open.held, open.link.as_ref())
    }
}

/// Two bodies of one event, by SHA-256 in hex. What may differ between deliveries of an event, such
/// as links, the order of fields and the number of a delivery, is left out of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bodies)]
struct BodiesView {
    /// The body that came first, which counts.
    first: String,
    /// The body that came later.
    other: String,
}

impl FlagView {
    fn of(held: &HeldFlag, link: Option<&FlagLink>) -> Self {
        let Flag {
            kind,
            subject,
            at,
            bodies,
        } = &held.flag;
        Self {
            id: held.id().to_string(),
            kind: kind.as_str(),
            subject: subject.clone(),
            at: time(*at),
            customer_id: held.holder.customer().map(ToString::to_string),
            link: link.map(Into::into),
            bodies: bodies.as_ref().map(|bodies| BodiesView {
                first: bodies.first.clone(),
                other: bodies.other.clone(),
            }),
        }
    }
}

/// All open flags of a customer.
pub(in crate::http) fn flags(customer: &Customer, granted: &Granted) -> Vec<FlagView> {
    let held = |flag| HeldFlag {
        holder: FlagHolder::Customer(customer.id.clone()),
        flag,
    };
    let flags = flags_of(customer, granted).into_iter();
    let view = |flag: Flag| {
        let is_shared = flag.kind == FlagKind::SameEmail;
        let link = granted.links.get(&flag.subject).filter(|_| is_shared);
        FlagView::of(&held(flag), link)
    };
    flags.map(view).collect()
}

/// All open flags: those that the store knows of, and those that releases and failed events add when
/// a customer is read. A new release counts at once for everybody, so nothing is derived anew for it.
fn flags_of(customer: &Customer, granted: &Granted) -> BTreeSet<Flag> {
    let mut flags = customer.flags();
    if customer.derived.is_frozen_by_time() {
        let known: BTreeSet<&str> = granted
            .releases
            .iter()
            .map(|release| release.package.as_str())
            .collect();
        let unknown = granted
            .of(customer)
            .into_iter()
            .filter(|live| !known.contains(live.grant.package.as_str()))
            .map(|live| Flag {
                kind: FlagKind::ReleasesUnknown,
                subject: live.grant.package,
                at: None,
                bodies: None,
            });
        flags.extend(unknown.filter(|flag| !customer.cleared.contains(flag)));
    }
    let failed = granted.failures.get(&customer.id).into_iter().flatten();
    let failed = failed.map(|code| Flag {
        kind: FlagKind::FailedEvents,
        subject: code.clone(),
        at: None,
        bodies: None,
    });
    flags.extend(failed.filter(|flag| !customer.cleared.contains(flag)));
    flags
}
