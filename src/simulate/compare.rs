//! Compares the customers of the store with those of the model.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::error::SimulateError;
use super::model::{Bought, Picture};
use super::target::Target;

/// Requests at once; enough to keep a server busy without being its load.
const CONNECTIONS: usize = 8;

/// A customer who differs.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) external_id: String,
    /// The field, the expected value and the value found.
    pub(super) fields: Vec<(&'static str, String, String)>,
}

/// Reads all customers, by external id.
pub(super) async fn look(target: &Target) -> Result<BTreeMap<String, Picture>, SimulateError> {
    let customers = target.all("/api/v1/customers").await?;
    let pictures = customers.iter().map(|customer| look_at(target, customer));
    stream::iter(pictures)
        .buffer_unordered(CONNECTIONS)
        .map_ok(|picture| (picture.external_id.clone(), picture))
        .try_collect()
        .await
}

/// Reads the flags of what has no customer and should have none, by kind and subject.
pub(super) async fn nobodys(target: &Target) -> Result<BTreeSet<(String, String)>, SimulateError> {
    let mut found = BTreeSet::new();
    for kind in ["unknown_connected_account", "wrong_mode"] {
        let flags = target.all(&format!("/api/v1/flags?kind={kind}")).await?;
        found.extend(
            flags
                .iter()
                .map(|it| (own(&it["kind"]), own(&it["subject"]))),
        );
    }
    Ok(found)
}

/// Returns how these flags differ.
pub(super) fn difference_of_nobodys(
    expected: &BTreeSet<(String, String)>,
    found: &BTreeSet<(String, String)>,
) -> Option<Difference> {
    let show = |(kind, subject): &(String, String)| format!("{kind} {subject}");
    let (expected, found) = (expected != found).then(|| apart(expected, found, show))?;
    Some(Difference {
        external_id: "nobody".to_owned(),
        fields: vec![("flags", expected, found)],
    })
}

async fn look_at(target: &Target, customer: &Value) -> Result<Picture, SimulateError> {
    let id = customer["id"].as_str().unwrap_or_default();
    let packages = target
        .all(&format!("/api/v1/customers/{id}/packages"))
        .await?;
    let explained = target
        .get(&format!("/api/v1/customers/{id}/explain"))
        .await?;
    let subscriptions = explained["billing"]["subscriptions"].as_array();
    let text = |key: &str| customer[key].as_str().map(str::to_owned);
    let holds: BTreeSet<String> = texts(&customer["holds"]).collect();
    let flags = customer["flags"].as_array().into_iter().flatten();
    Ok(Picture {
        external_id: text("external_id").unwrap_or_default(),
        email: text("email"),
        name: text("name"),
        status: text("status").unwrap_or_default(),
        // Of several holds the model does not say which one gives the reason.
        reason: text("status_reason").filter(|_| holds.len() == 1),
        holds,
        frozen_at: text("frozen_at"),
        flags: flags
            .map(|it| (own(&it["kind"]), own(&it["subject"])))
            .collect(),
        packages: packages.iter().map(package).collect(),
        subscriptions: subscriptions.into_iter().flatten().map(bought).collect(),
    })
}

fn own(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(list: &Value) -> impl Iterator<Item = String> {
    list.as_array().into_iter().flatten().map(own)
}

fn package(it: &Value) -> [String; 5] {
    let source = if it["payment_id"].is_null() {
        "subscription_id"
    } else {
        "payment_id"
    };
    ["package", "constraint", "price_id", source, "until"].map(|key| own(&it[key]))
}

fn bought(it: &Value) -> Bought {
    let text = |key: &str| it[key].as_str().map(str::to_owned);
    Bought {
        id: own(&it["id"]),
        status: own(&it["status"]),
        verdict: text("verdict"),
        ended_at: text("ended_at"),
    }
}

/// Counts the customers by status.
pub(super) fn statuses(found: &BTreeMap<String, Picture>) -> BTreeMap<String, usize> {
    let mut statuses = BTreeMap::new();
    for picture in found.values() {
        *statuses.entry(picture.status.clone()).or_default() += 1;
    }
    statuses
}

/// Returns all customers who differ, including those who should not exist.
pub(super) fn differences(
    expected: &BTreeMap<String, Picture>,
    found: &BTreeMap<String, Picture>,
) -> Vec<Difference> {
    let everybody: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    let difference = |external_id: &&String| {
        let fields = match (expected.get(*external_id), found.get(*external_id)) {
            (Some(expected), Some(found)) => fields(expected, found),
            (Some(expected), None) => {
                vec![("customer", expected.status.clone(), "nobody".to_owned())]
            }
            (None, Some(found)) => vec![("customer", "nobody".to_owned(), found.status.clone())],
            (None, None) => Vec::new(),
        };
        let external_id = (*external_id).clone();
        (!fields.is_empty()).then_some(Difference {
            external_id,
            fields,
        })
    };
    everybody.iter().filter_map(difference).collect()
}

fn fields(expected: &Picture, found: &Picture) -> Vec<(&'static str, String, String)> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let mut fields = Vec::new();
    let mut compare = |what, expected: String, found: String| {
        if expected != found {
            fields.push((what, expected, found));
        }
    };
    compare("status", expected.status.clone(), found.status.clone());
    compare("reason", or_none(&expected.reason), or_none(&found.reason));
    compare(
        "frozen at",
        or_none(&expected.frozen_at),
        or_none(&found.frozen_at),
    );
    compare("e-mail", or_none(&expected.email), or_none(&found.email));
    compare("name", or_none(&expected.name), or_none(&found.name));
    let mut sets = |what, (expected, found): (String, String)| compare(what, expected, found);
    sets("holds", apart(&expected.holds, &found.holds, Clone::clone));
    sets(
        "flags",
        apart(&expected.flags, &found.flags, |(kind, it)| {
            format!("{kind} {it}")
        }),
    );
    sets(
        "packages",
        apart(&expected.packages, &found.packages, |it| it.join(" ")),
    );
    let (wanted, seen) = (&expected.subscriptions, &found.subscriptions);
    sets("subscriptions", apart(wanted, seen, ToString::to_string));
    fields
}

/// Describes the elements that only one of two sets has.
fn apart<T: Ord>(
    expected: &BTreeSet<T>,
    found: &BTreeSet<T>,
    show: impl Fn(&T) -> String,
) -> (String, String) {
    let alone = |one: &BTreeSet<T>, other: &BTreeSet<T>| {
        let texts: Vec<String> = one.difference(other).map(&show).collect();
        if texts.is_empty() && !one.is_empty() {
            "the rest".to_owned()
        } else if texts.is_empty() {
            "none".to_owned()
        } else {
            texts.join(", ")
        }
    };
    if expected == found {
        Default::default()
    } else {
        (alone(expected, found), alone(found, expected))
    }
}
