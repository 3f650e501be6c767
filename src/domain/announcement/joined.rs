//! What one act changed of a customer, told as one change.

use serde_json::{Map, Value};

use super::{Announcement, UPDATED};

/// Makes one announcement of those that follow each other and say that a customer was updated: contact,
/// external id and profile have an entry of the audit each, also when one act changed them all.
pub fn joined(all: impl IntoIterator<Item = Announcement>) -> Vec<Announcement> {
    let mut joined: Vec<Announcement> = Vec::new();
    for next in all {
        match joined.last_mut() {
            Some(last) if goes_on(last, &next) => add_fields(last, &next),
            _ => joined.push(next),
        }
    }
    joined
}

fn goes_on(last: &Announcement, next: &Announcement) -> bool {
    [last.kind, next.kind] == [UPDATED; 2]
        && last.app == next.app
        && last.customer == next.customer
        && last.occurred_at == next.occurred_at
}

/// Adds what another one says was updated.
fn add_fields(to: &mut Announcement, from: &Announcement) {
    let fields = |it: &Map<String, Value>| it["fields"].as_array().cloned().unwrap_or_default();
    let mut all = fields(&to.data);
    for field in fields(&from.data) {
        if !all.contains(&field) {
            all.push(field);
        }
    }
    to.data.insert("fields".to_owned(), all.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::announcement::announced;
    use crate::domain::id::{AppSlug, CustomerId};
    use crate::domain::time::Timestamp;

    #[test]
    fn what_one_act_updates_is_told_once() {
        let app = AppSlug::default_app();
        let ids = [
            "cust_0123456789abcdef0123456789abcdef",
            "cust_1123456789abcdef0123456789abcdef",
        ];
        let [ada, bob] = ids.map(|id| id.parse::<CustomerId>().unwrap());
        let told = |entries: &[(&CustomerId, &str, i64)]| {
            let all = entries.iter().flat_map(|(customer, operation, at)| {
                let at = Timestamp::from_nanos(*at);
                announced(&app, Some(customer), operation, &json!({}), at)
            });
            let told = joined(all)
                .into_iter()
                .map(|it| (it.kind, it.data["fields"].clone()));
            told.collect::<Vec<_>>()
        };
        assert_eq!(
            told(&[
                (&ada, "update_contact", 1),
                (&ada, "update_profile", 1),
                (&ada, "update_contact", 1),
                (&bob, "update_profile", 1),
                (&bob, "update_profile", 2),
            ]),
            [
                (UPDATED, json!(["contact", "profile"])),
                (UPDATED, json!(["profile"])),
                (UPDATED, json!(["profile"])),
            ]
        );
    }
}
