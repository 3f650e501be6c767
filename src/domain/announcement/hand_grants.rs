//! What is told of grants by hand, which an entry of the audit has as a whole, before and after.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::domain::time::Timestamp;

/// Returns kind and data for each package whose grants changed: `customer.revoked` where there is none any
/// more, `customer.granted` where there is one. `None` if the entry is about something else.
pub(super) fn told(
    operation: &str,
    details: &Value,
    occurred_at: Timestamp,
) -> Option<Vec<(&'static str, Map<String, Value>)>> {
    let is_of_these = matches!(operation, "grant" | "revoke" | "grant_expire");
    if !is_of_these || !details["to"].is_array() {
        return None;
    }
    // An end that had come is told by an entry of its own.
    let had_ended = |grant: &Value| {
        let end = grant["expires_at"].as_str().and_then(Timestamp::parse);
        operation != "grant_expire" && end.is_some_and(|end| end <= occurred_at)
    };
    let mut packages: BTreeMap<&str, [Vec<&Value>; 2]> = BTreeMap::new();
    for (side, place) in ["from", "to"].into_iter().zip(0..) {
        let grants = details[side].as_array().into_iter().flatten();
        for grant in grants.filter(|it| !had_ended(it)) {
            if let Some(package) = grant["package"].as_str() {
                packages.entry(package).or_default()[place].push(grant);
            }
        }
    }
    let changed = packages.into_iter().filter(|(_, [from, to])| from != to);
    let told = changed.map(|(package, [from, to])| {
        let kind = if to.is_empty() {
            "customer.revoked"
        } else {
            "customer.granted"
        };
        let data = json!({"package": package, "source": "manual", "from": from, "to": to});
        (kind, data.as_object().cloned().unwrap_or_default())
    });
    Some(told.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_told_that_changed() {
        let grant =
            |package: &str, constraint: &str| json!({"package": package, "constraint": constraint});
        let mut ended = grant("a/ended", "*");
        ended["expires_at"] = json!("1970-01-01T00:00:01.000Z");
        let details = json!({
            "from": [grant("a/charts", "*"), ended, grant("a/forms", "*"), grant("a/maps", "*")],
            "to": [grant("a/forms", "^2"), grant("a/maps", "*"), grant("a/new", "*")],
        });
        let at = Timestamp::from_nanos(2_000_000_000);
        let all = told("grant", &details, at).unwrap();
        let kinds: Vec<_> = (all
            .iter()
            .map(|(kind, data)| (*kind, data["package"].clone())))
        .collect();
        assert_eq!(
            kinds,
            [
                ("customer.revoked", json!("a/charts")),
                ("customer.granted", json!("a/forms")),
                ("customer.granted", json!("a/new")),
            ]
        );
        assert_eq!(all[1].1["from"], json!([grant("a/forms", "*")]));
        assert_eq!(all[1].1["to"], json!([grant("a/forms", "^2")]));
        assert_eq!(all[0].1["to"], json!([]));
        assert_eq!(told("grant", &json!({"packages": []}), at), None);
    }
}
