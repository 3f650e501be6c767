//! Payloads: what each fixture means, whatever version wrote it, and what cannot be understood.

mod account;
mod far_dates;
mod features;
mod money;
mod named;
mod payment;
mod purchase;
mod refused;
mod subscription;
mod support;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tollgate::domain::billing::fact::{Fact, Occurrence};
use tollgate::domain::id::Kind;
use tollgate::provider::{self, IgnoreReason, Meaning, Mode, PADDLE, Reading, STRIPE, Spec};

use crate::support::fixtures::{Row, files, outcomes, own, provider_of, recorded};
use crate::support::spec::{read, spec};
use support::{NEW, OLD, load, reading};

#[test]
fn every_fixture_means_what_the_table_says() {
    check_folder(&own(), &outcomes().own);
}

#[test]
fn every_recorded_payload_means_what_the_table_says() {
    let Some(folder) = recorded("every_recorded_payload_means_what_the_table_says") else {
        return;
    };
    check_folder(&folder, &outcomes().recorded);
}

/// What Paddle's own SDK for Node takes for granted: 3.10 throws where one of these is missing. All of
/// them are in what Paddle sends.
#[test]
fn samples_of_paddle_have_what_its_sdk_insists_on() {
    fn walk(value: &Value, path: &str, wrong: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("unit_price")
                    && !fields.get("quantity").is_some_and(Value::is_object)
                {
                    wrong.push(format!("{path}.quantity"));
                }
                for (name, value) in fields {
                    walk(value, &format!("{path}.{name}"), wrong);
                }
            }
            Value::Array(list) => list.iter().for_each(|it| walk(it, path, wrong)),
            _ => {}
        }
    }
    let mut wrong = Vec::new();
    for kind in PADDLE.types {
        let sample: Value = serde_json::from_str(kind.sample.unwrap()).unwrap();
        let data = &sample["data"];
        walk(data, kind.name, &mut wrong);
        if kind.name.starts_with("transaction.") {
            for list in [
                "/items",
                "/payments",
                "/details/tax_rates_used",
                "/details/line_items",
            ] {
                if !data.pointer(list).is_some_and(Value::is_array) {
                    wrong.push(format!("{}{list}", kind.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn every_type_that_is_read_has_a_sample() {
    for spec in provider::ALL {
        for kind in spec.types {
            assert!(kind.sample.is_some(), "{} {}", spec.name, kind.name);
        }
    }
}

fn check_folder(folder: &Path, rows: &[Row]) {
    let listed: BTreeSet<String> = rows.iter().map(|row| row.file.clone()).collect();
    assert_eq!(files(folder), listed, "the table and the folder differ");
    for row in rows {
        let body = std::fs::read(folder.join(&row.file)).unwrap();
        let provider = provider_of(&row.file);
        let head = spec(provider).head(&body).unwrap();
        let named = row.file.split('/').next_back().unwrap();
        assert!(
            named.starts_with(&head.event_type)
                || named.contains(&format!("{}.json", head.event_type)),
            "{}: is of type {}",
            row.file,
            head.event_type
        );
        let reading = read(provider, &body, Mode::Any);
        let reading = reading.unwrap_or_else(|error| panic!("{}: {error}", row.file));
        assert!(reading.occurred_at.is_some(), "{}: no time", row.file);
        let (outcomes, code): (&[&str], _) = match &reading.meaning {
            Meaning::Ignored(reason) => (&["ignored"], reason.code()),
            // No app names the account.
            Meaning::Facts(_) if reading.connected.is_some() => {
                (&["ignored"], Some("unknown_connected_account"))
            }
            Meaning::Facts(occurrence) if only_references(occurrence) => (&["ignored"], None),
            Meaning::Facts(occurrence) if only_names(occurrence) => {
                (&["ignored"], Some("api_key_needed"))
            }
            Meaning::Facts(_) => (&["applied", "unchanged"], None),
        };
        let told = format!("{}: {}, got {:?}", row.file, row.because, reading.meaning);
        assert!(outcomes.contains(&row.outcome.as_str()), "{told}");
        assert_eq!(code, row.code.as_deref(), "{told}");
    }
}

fn only_references(occurrence: &Occurrence) -> bool {
    occurrence.facts.iter().all(Fact::is_background)
}

/// Only names objects that must be fetched.
fn only_names(occurrence: &Occurrence) -> bool {
    occurrence
        .facts
        .iter()
        .all(|fact| matches!(fact, Fact::Unfetched { .. }))
}

#[test]
fn both_shapes_of_an_event_say_the_same() {
    let mut pairs = 0;
    for file in files(&own()) {
        let Some(stem) = file.strip_suffix(OLD) else {
            continue;
        };
        let new = format!("{stem}{NEW}");
        assert_eq!(comparable(&load(&file)), comparable(&load(&new)), "{stem}");
        pairs += 1;
    }
    assert!(pairs > 40, "only {pairs} pairs");
}

/// What must not depend on the version: everything but the invoices and charges that newer
/// versions do not name any more.
fn comparable(payload: &Value) -> Reading {
    let mut reading = reading(STRIPE.name, payload);
    if let Meaning::Facts(occurrence) = &mut reading.meaning {
        for fact in &mut occurrence.facts {
            if let Fact::Disputed { ids, .. } | Fact::ChargeRefunded { ids, .. } = fact {
                ids.retain(|key| key.kind != Kind::Invoice);
            }
        }
        if !only_references(occurrence) {
            occurrence
                .facts
                .retain(|fact| !matches!(fact, Fact::PaymentLink { .. }));
        }
        for fact in &mut occurrence.facts {
            if let Fact::PaymentLink { ids } = fact {
                ids.retain(|key| key.kind != Kind::Invoice);
            }
        }
    }
    reading
}

#[test]
fn the_table_lists_what_is_read_with_samples_of_it() {
    let rows = || {
        let rows = |spec: &&'static Spec| spec.types.iter().map(|row| (spec.name, row));
        provider::ALL.iter().flat_map(rows)
    };
    for (provider, row) in rows() {
        let bare = provider::read(provider, row.name, b"{}", Mode::Any);
        assert!(bare.is_err(), "{}: is not read", row.name);
        let Some(sample) = row.sample else {
            continue;
        };
        let head = spec(provider).head(sample.as_bytes()).unwrap();
        assert_eq!(head.event_type, row.name);
        let reading = read(provider, sample.as_bytes(), Mode::Any).unwrap();
        let says = matches!(reading.meaning, Meaning::Facts(_));
        assert!(says, "{}: the sample says nothing", row.name);
    }
    let names: BTreeSet<_> = rows().map(|(provider, row)| (provider, row.name)).collect();
    assert_eq!(names.len(), rows().count(), "a type is listed twice");
    for file in files(&own()) {
        let provider = provider_of(&file);
        let reading = reading(provider, &load(&file));
        let name = file
            .split('/')
            .next_back()
            .unwrap()
            .split("--")
            .next()
            .unwrap();
        let read = match &reading.meaning {
            Meaning::Ignored(reason) => *reason != IgnoreReason::Type,
            Meaning::Facts(occurrence) => !only_names(occurrence),
        };
        assert_eq!(names.contains(&(provider, name)), read, "{file}");
    }
}
