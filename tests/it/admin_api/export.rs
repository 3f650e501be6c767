//! Everything that is kept of one customer in one document, and nothing about anybody else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tollgate::pipeline::export::PLACES;

use super::erasure::PERSON;
use super::rig::{NOW, Rig, id_of};
use crate::process::message;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

/// Where an export has what a table holds.
enum Kept {
    /// In this section.
    In(&'static str),
    /// Nowhere, because it says nothing about a person that is not elsewhere.
    Not,
}

/// Every table. What has words about a person must be exported and erased.
const TABLES: [(&str, Kept); 55] = [
    ("accounts", Kept::In("stored")),
    // Ids of events, until the ledger has them.
    ("acknowledged", Kept::Not),
    ("activations", Kept::In("activations")),
    ("admin_tokens", Kept::Not),
    ("api_keys", Kept::Not),
    ("apps", Kept::Not),
    ("audit", Kept::In("audit")),
    // Addresses of archives, which are of no customer.
    ("branch_archives", Kept::Not),
    // Counts.
    ("customer_days", Kept::Not),
    ("customers", Kept::In("stored")),
    ("disputes", Kept::In("stored")),
    ("endpoint_secrets", Kept::Not),
    // Prices, of which the customer's own row says the same.
    ("entitlements", Kept::Not),
    // What the audit has, without persons.
    ("changes", Kept::Not),
    // When webhooks last came.
    ("endpoint_receipts", Kept::Not),
    // Digests of the ids of those who were erased.
    ("erased_objects", Kept::Not),
    // Ids and digests.
    ("erasures", Kept::Not),
    // Digests of what sessions of the console are told by.
    ("ended_sessions", Kept::Not),
    // Digests of ids, which the payloads show.
    ("event_objects", Kept::Not),
    ("events", Kept::In("events")),
    ("flags", Kept::In("flags")),
    ("grants", Kept::In("grants")),
    // Answers of a day, sealed: copies of what else is here.
    ("idempotency_keys", Kept::Not),
    // The id of the store.
    ("installation", Kept::Not),
    ("hook_deliveries", Kept::Not),
    ("hook_secrets", Kept::Not),
    ("hooks", Kept::Not),
    ("leases", Kept::Not),
    ("licenses", Kept::In("licenses")),
    ("live_endpoints", Kept::Not),
    ("messages", Kept::In("waiting")),
    // Digests of the bodies of events that nobody was found for.
    ("other_bodies", Kept::Not),
    // How their versions are read.
    ("packages", Kept::Not),
    // Ids that payments name.
    ("pairs", Kept::Not),
    // Since when an app is paused, and an admin's words why.
    ("pauses", Kept::Not),
    ("payloads", Kept::In("events")),
    ("payments", Kept::In("stored")),
    ("plan_packages", Kept::Not),
    ("plans", Kept::Not),
    // Ids of objects that a provider is to be asked about.
    ("refetches", Kept::Not),
    // Counts.
    ("refused_signatures", Kept::Not),
    ("refunds", Kept::In("stored")),
    ("registries", Kept::Not),
    ("release_marks", Kept::Not),
    ("releases", Kept::Not),
    // Ids of subscriptions, while a comparison is under way.
    ("reconcile_seen", Kept::Not),
    // Numbers, and ids of subscriptions that a provider does not list.
    ("reconciles", Kept::Not),
    // Digests of texts that open nothing any more.
    ("retired_token_hashes", Kept::Not),
    // The external id by which an admin found its events.
    ("replays", Kept::In("customer")),
    ("subscriptions", Kept::In("stored")),
    // Names of packages.
    ("told_flags", Kept::Not),
    // Digests of texts that the customer alone knows.
    ("token_hashes", Kept::Not),
    ("tokens", Kept::In("tokens")),
    // Ids of objects that nobody was found for.
    ("unfetched", Kept::Not),
    ("waiting_plans", Kept::Not),
];

/// The tables of the engines and of the migrations.
fn is_ours(table: &str) -> bool {
    !table.starts_with("sqlite_") && !table.starts_with("_sqlx")
}

fn refund() -> Value {
    let refund = json!({
        "id": "re_1", "object": "refund", "charge": "ch_1", "status": "succeeded", "amount": 100,
    });
    stripe_event("evt_refund", "refund.created", NOW - 20, refund)
}

fn ids(list: &Value, field: &str) -> Vec<String> {
    let list = list.as_array().unwrap().iter();
    list.map(|it| it[field].as_str().unwrap().to_owned())
        .collect()
}

impl Rig {
    async fn export(&self, id: &str) -> Value {
        self.get(&format!("/customers/{id}/export"))
            .await
            .expect(200)
    }

    pub(super) async fn found(&self, external_id: &str) -> String {
        let path = format!("/customers/by-external/{external_id}");
        id_of(&self.get(&path).await.expect(200))
    }
}

async fn what_is_exported_is_what_is_erased(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.happens(&refund()).await;
    rig.rests("evt_rests").await;

    let columns = rig.place.columns().await;
    let tables = columns.iter().map(|it| it.split_once('.').unwrap().0);
    let tables: BTreeSet<&str> = tables.filter(|it| is_ours(it)).collect();
    let known: BTreeSet<&str> = TABLES.iter().map(|(table, _)| *table).collect();
    assert_eq!(tables, known, "say in `TABLES` where an export has it");

    let all = rig.export(&id).await;
    let things = [
        "cus_1",
        "sub_1",
        "in_1",
        "dp_1",
        "re_1",
        "acme/extra",
        "tool",
    ];
    let words: Vec<&str> = PERSON.into_iter().chain(things).collect();
    let contents = rig.place.contents().await;
    for (table, kept) in TABLES {
        let cells = contents.iter();
        let cells = cells.filter(|(place, _)| place.split_once('.').unwrap().0 == table);
        let found = cells.flat_map(|(place, cell)| {
            let cell = String::from_utf8_lossy(cell);
            let found = words.iter().filter(|word| cell.contains(**word));
            found.map(|word| (place, *word)).collect::<Vec<_>>()
        });
        let found: BTreeSet<(&String, &str)> = found.collect();
        match kept {
            Kept::In(section) => {
                assert!(!found.is_empty(), "nothing in {table}");
                let section = &all[section];
                for (place, word) in found {
                    assert!(
                        section.to_string().contains(word),
                        "{word} in {place}, not in {section}"
                    );
                }
            }
            Kept::Not => {
                let about = |(_, word): &&(&String, &str)| PERSON.contains(word);
                assert_eq!(found.iter().find(about), None, "{table}");
            }
        }
    }
    // What nobody but the customer knows is in no document.
    let hashes = contents
        .iter()
        .filter(|(place, _)| place == "token_hashes.hash");
    assert!(hashes.count() > 0);
    assert!(!all.to_string().contains("hash"), "{all}");

    rig.place.try_run("DELETE FROM messages").await.unwrap();
    rig.delete(&format!("/customers/{id}")).await.expect(204);
    rig.erases().await;
    assert_eq!(rig.finds(&PERSON).await, Vec::<String>::new());
    rig.get(&format!("/customers/{id}/export"))
        .await
        .refused(404, "customer_not_found");
}

async fn an_export_shows_what_the_lists_show(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    rig.customer(json!({"name": "Somebody Else"})).await;
    let path = format!("/customers/{id}");
    let answer = rig.get(&format!("{path}/export")).await;
    let name = format!("attachment; filename=\"{id}.json\"");
    assert_eq!(answer.header("content-disposition"), name);
    assert_eq!(answer.header("cache-control"), "no-store");
    let all = answer.expect(200);

    assert_eq!(all["exported_at"], rig.now().to_string());
    assert_eq!(all["customer"], rig.get(&path).await.expect(200));
    for list in ["subscriptions", "payments", "packages", "tokens"] {
        let shown = rig.get(&format!("{path}/{list}")).await.expect(200);
        assert_eq!(all[list], shown["data"], "{list}");
        assert_ne!(all[list], json!([]), "{list}");
    }
    let license = all["licenses"][0]["id"].as_str().unwrap();
    let active = rig.get(&format!("/licenses/{license}/activations")).await;
    assert_eq!(all["activations"], active.expect(200)["data"]);
    assert_eq!(all["activations"][0]["fingerprint"], PERSON[9]);
    for list in ["licenses", "flags", "audit"] {
        let path = format!("/{list}?customer_id={id}&page_size=100");
        let shown = rig.get(&path).await.expect(200);
        assert_eq!(all[list], shown["data"], "{list}");
        assert_ne!(all[list], json!([]), "{list}");
    }
    assert_eq!(all["accounts"][0]["account"], "cus_1");
    assert_eq!(all["accounts"][0]["contact"]["phone"], PERSON[2]);
    assert_eq!(all["accounts"][0]["contact"]["address_line1"], PERSON[3]);
    assert_eq!(all["accounts"][0]["emails"], json!([PERSON[0]]));
    // Also what has not been processed, and what failed.
    let events = ids(&all["events"], "id");
    assert_eq!(events.len(), 8, "{events:?}");
    for event in all["events"].as_array().unwrap() {
        let id = event["id"].as_str().unwrap();
        let mut shown = rig.get(&format!("/events/{id}")).await.expect(200);
        shown["payload_withheld"] = json!(false);
        assert_eq!(*event, shown);
    }
    assert!(!all.to_string().contains("Somebody Else"));
    // The export itself is audited.
    assert_eq!(all["audit"][0]["operation"], "export");
    assert_eq!(all["audit"][0]["actor"], "admin:root");

    rig.get("/customers/cust_01939f1bf0007cc8a4d0b1c2d3e4f506/export")
        .await
        .refused(404, "customer_not_found");
}

async fn a_removed_payload_is_said_to_be_missing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    for removed in [
        "DELETE FROM payloads",
        "UPDATE events SET payload_removed_at = received_at",
    ] {
        rig.place.try_run(removed).await.unwrap();
    }
    let all = rig.export(&id).await;
    assert_eq!(all["events"][0]["payload"], json!(null));
    assert_eq!(all["events"][0]["payload_withheld"], json!(false));
    assert!(all["events"][0]["payload_removed_at"].is_string());
}

async fn an_export_needs_an_admin_of_the_app(engine: Engine) {
    let rig = Rig::start(engine).await;
    let id = rig.knows_ada().await;
    let path = format!("/customers/{id}/export");
    let viewer = rig.admin("viewer", None).await;
    rig.as_admin(&viewer, "GET", &path, None)
        .await
        .refused(403, "role_insufficient");
    let admin = rig.admin("admin", Some("default")).await;
    rig.as_admin(&admin, "GET", &path, None).await.expect(200);
    rig.post("/apps", json!({"slug": "other", "name": "Other"}))
        .await
        .expect(201);
    let other = rig.admin("owner", Some("other")).await;
    rig.as_admin(&other, "GET", &path, None)
        .await
        .refused(404, "customer_not_found");
    let audit = rig.get("/audit?operation=export").await.expect(200);
    assert_eq!(audit["meta"]["total"], 1, "{audit}");
}

async fn a_long_export_is_whole(engine: Engine) {
    let rig = Rig::start(engine).await;
    // The places of more are found in two parts.
    let count = i64::from(PLACES) + 50;
    let events: Vec<Value> = (0..count)
        .map(|n| {
            let account = stripe_customer("cus_1", &format!("{}@example.com", n.min(250)));
            let id = format!("evt_{n}");
            stripe_event(&id, "customer.updated", NOW - 10_000 + n, account)
        })
        .collect();
    rig.happen(&events).await;
    let all = rig.export(&rig.found("cus_1").await).await;
    let mut found = ids(&all["events"], "id");
    found.reverse();
    let sent: Vec<String> = (0..count).map(|n| format!("evt_{n}")).collect();
    assert_eq!(found, sent);
    assert!(all["audit"].as_array().unwrap().len() > 200);
    // Of a customer who has nothing the document has the same fields.
    let bare = id_of(&rig.customer(json!({"name": "Bare"})).await);
    let bare = rig.export(&bare).await;
    let fields = |it: &Value| it.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&bare), fields(&all));
    assert_eq!(bare["events"], json!([]));
}

/// Two people. A dot is in no id that is made here.
pub(super) const ADA: &str = "ada.l";
pub(super) const BOB: &str = "bob.m";

/// An account of somebody whom every word names.
pub(super) fn account_of(id: &str, name: &str) -> Value {
    json!({
        "id": id, "object": "customer", "email": format!("{name}@example.com"),
        "name": format!("{name} the customer"), "phone": format!("tel-{name}"),
        "address": {"line1": format!("{name} street"), "city": "Ely", "country": "GB"},
    })
}

/// What a provider sends about such a person: two contacts, a subscription, and a dispute that
/// names no account.
pub(super) fn life_of(id: &str, name: &str, at: i64) -> Vec<Value> {
    let mut old = account_of(id, name);
    old["email"] = json!(format!("old-{name}@example.com"));
    let invoice = json!({
        "id": format!("in_{name}"), "object": "invoice", "customer": id,
        "subscription": format!("sub_{name}"), "charge": format!("ch_{name}"),
        "customer_email": format!("{name}@example.com"), "customer_name": name, "status": "paid",
        "amount_paid": 900, "total": 900, "paid": true, "lines": {"data": []},
    });
    let dispute = json!({
        "id": format!("dp_{name}"), "object": "dispute", "charge": format!("ch_{name}"),
        "status": "needs_response", "amount": 900, "evidence": {"customer_name": name},
    });
    let subscription = stripe_subscription(&format!("sub_{name}"), id, "active");
    let event = |n: usize, kind: &str, at: i64, object: Value| {
        stripe_event(&format!("evt_{id}_{at}_{n}"), kind, at, object)
    };
    vec![
        event(1, "customer.created", at, old),
        event(2, "customer.subscription.created", at + 1, subscription),
        event(3, "invoice.paid", at + 2, invoice),
        event(4, "charge.dispute.created", at + 3, dispute),
        event(5, "customer.updated", at + 4, account_of(id, name)),
    ]
}

/// Asserts that a document is about one person and not about the other.
#[track_caller]
fn is_about(all: &Value, name: &str, other: &str) {
    let text = all.to_string().to_lowercase();
    assert!(text.contains(name), "nothing about {name}: {all:#}");
    if let Some(at) = text.find(other) {
        let around: String = text
            .chars()
            .skip(at.saturating_sub(300))
            .take(600)
            .collect();
        panic!("{other} in the export of {name}: {around}");
    }
}

async fn an_account_that_was_parted_goes_with_its_person(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happen(&life_of("cus_1", ADA, NOW - 100)).await;
    let ada = rig.found("cus_1").await;
    // Ada shows the contact of the account that is linked to her.
    let mut bare = account_of("cus_1", ADA);
    for field in ["email", "name", "phone", "address"] {
        bare[field] = json!(null);
    }
    bare["metadata"] = json!({"note": ADA});
    let bare = stripe_event("evt_bare", "customer.updated", NOW - 90, bare);
    rig.happens(&bare).await;
    rig.happen(&life_of("cus_2", BOB, NOW - 80)).await;
    let accounts = format!("/customers/{ada}/accounts");
    let link = json!({"account": "cus_2"});
    rig.post(&accounts, link).await.expect(200);
    let mut moved = account_of("cus_2", BOB);
    moved["phone"] = json!("bob.m's other phone");
    let moved = stripe_event("evt_moved", "customer.updated", NOW - 10, moved);
    rig.happens(&moved).await;
    let shown = rig.get(&format!("/customers/{ada}")).await.expect(200);
    assert_eq!(shown["email"], "bob.m@example.com");
    // They are one customer for now.
    let both = rig.export(&ada).await.to_string();
    assert!(both.contains("bob.m@example.com") && both.contains("ada.l@example.com"));

    rig.delete(&format!("{accounts}/cus_2")).await.expect(200);
    let bob = rig.found("cus_2").await;
    assert_ne!(ada, bob);
    let all = rig.export(&ada).await;
    let events = all["events"].as_array().unwrap();
    let withheld = events.iter().filter(|it| it["payload_withheld"] == true);
    assert_eq!(withheld.count(), 1, "what came while they were one");
    is_about(&all, ADA, BOB);
    let all = rig.export(&bob).await;
    is_about(&all, BOB, ADA);
    // Also what concerned the other while they were one.
    let moved = ids(&all["events"], "id");
    assert!(moved.contains(&"evt_moved".to_owned()), "{moved:?}");
}

async fn a_first_account_that_was_moved_goes_with_its_person(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happen(&life_of("cus_1", BOB, NOW - 100)).await;
    let ada = rig.found("cus_1").await;
    rig.happens(&stripe_event(
        "evt_ada",
        "customer.created",
        NOW - 80,
        account_of("cus_2", ADA),
    ))
    .await;
    let link = json!({"account": "cus_2"});
    rig.post(&format!("/customers/{ada}/accounts"), link)
        .await
        .expect(200);
    let bob = id_of(&rig.customer(json!({"name": "Bob"})).await);
    let link = json!({"account": "cus_1"});
    rig.post(&format!("/customers/{bob}/accounts"), link)
        .await
        .expect(200);
    assert_eq!(rig.found("cus_1").await, bob);
    let all = rig.export(&ada).await;
    let events = all["events"].as_array().unwrap();
    let withheld = events.iter().filter(|it| it["payload_withheld"] == true);
    assert_eq!(
        withheld.count(),
        5,
        "what came while it was the only account"
    );
    is_about(&all, ADA, BOB);
    let theirs = rig.export(&bob).await;
    assert_eq!(ids(&theirs["events"], "id").len(), 5);
    is_about(&theirs, BOB, ADA);
}

async fn who_shares_an_address_is_not_shown(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut life = life_of("cus_1", ADA, NOW - 100);
    life[0]["data"]["object"]["email"] = json!("ada.l@example.com");
    rig.happen(&life).await;
    let mut other = account_of("cus_2", BOB);
    other["email"] = json!("ada.l@example.com");
    let other = stripe_event("evt_other", "customer.created", NOW - 50, other);
    rig.happens(&other).await;
    let (ada, bob) = (rig.found("cus_1").await, rig.found("cus_2").await);
    assert_ne!(ada, bob);
    let all = rig.export(&ada).await;
    let kinds = ids(&all["flags"], "kind");
    assert!(kinds.contains(&"same_email".to_owned()), "{kinds:?}");
    let text = all.to_string();
    // The flag names the other account, by its id; nothing is said of whose it is.
    for word in [BOB, "tel-bob", bob.as_str()] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

async fn an_event_of_two_people_is_shown_to_neither(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.happen(&life_of("cus_1", ADA, NOW - 100)).await;
    rig.happen(&life_of("cus_2", BOB, NOW - 90)).await;
    let invoice = json!({
        "id": "in_both", "object": "invoice", "customer": "cus_1", "status": "paid",
        "subscription": {"id": "sub_bob.m", "object": "subscription", "customer": "cus_2"},
        "amount_paid": 900, "total": 900, "paid": true, "lines": {"data": []},
    });
    rig.happens(&stripe_event("evt_both", "invoice.paid", NOW - 9, invoice))
        .await;
    for account in ["cus_1", "cus_2"] {
        let all = rig.export(&rig.found(account).await).await;
        let listed = ids(&all["events"], "id");
        assert!(
            listed.contains(&"evt_both".to_owned()),
            "{account}: {listed:?}"
        );
        for event in all["events"].as_array().unwrap() {
            if event["id"] == "evt_both" {
                assert_eq!(event["payload"], json!(null), "{event}");
                assert_eq!(event["payload_withheld"], true, "{event}");
            } else {
                assert_eq!(event["payload_withheld"], false, "{event}");
            }
        }
    }
}

async fn who_was_somebody_else_once_is_not_shown_with_forgotten_words(engine: Engine) {
    let rig = Rig::start(engine).await;
    let mut bare = account_of("cus_1", ADA);
    for field in ["email", "name", "phone", "address"] {
        bare[field] = json!(null);
    }
    bare["metadata"] = json!({"note": ADA});
    let bare = stripe_event("evt_ada", "customer.created", NOW - 100, bare);
    rig.happens(&bare).await;
    let ada = rig.found("cus_1").await;
    let created = account_of("cus_2", BOB);
    let created = stripe_event("evt_bob", "customer.created", NOW - 90, created);
    rig.happens(&created).await;
    let accounts = format!("/customers/{ada}/accounts");
    let link = json!({"account": "cus_2"});
    rig.post(&accounts, link).await.expect(200);
    rig.delete(&format!("{accounts}/cus_2")).await.expect(200);
    // His name is in no account any more.
    let other = account_of("cus_2", "robert");
    let other = stripe_event("evt_other", "customer.updated", NOW - 80, other);
    rig.happens(&other).await;
    let all = rig.export(&ada).await;
    let operations = ids(&all["audit"], "operation");
    assert!(
        operations.contains(&"update_contact".to_owned()),
        "{operations:?}"
    );
    is_about(&all, ADA, BOB);
}

async fn what_waits_and_only_mentions_an_account_is_not_shown(engine: Engine) {
    let rig = Rig::start(engine).await;
    for (account, name, at) in [("cus_1", ADA, NOW - 100), ("cus_2", BOB, NOW - 90)] {
        let event = stripe_event(
            &format!("evt_{name}"),
            "customer.created",
            at,
            account_of(account, name),
        );
        rig.happens(&event).await;
    }
    let referred = |id: &str, name: &str| {
        let mut account = account_of(id, name);
        account["metadata"] = json!({"referred_by": "cus_1"});
        account
    };
    let own = stripe_event("evt_own", "customer.updated", NOW, account_of("cus_1", ADA));
    let charge = json!({"id": "ch_9", "object": "charge", "customer": "cus_1", "status": "failed"});
    let charge = stripe_event("evt_charge", "charge.failed", NOW, charge);
    let known = stripe_event("evt_known", "customer.updated", NOW, referred("cus_2", BOB));
    let unknown = stripe_event(
        "evt_unknown",
        "customer.created",
        NOW,
        referred("cus_3", BOB),
    );
    let mut nameless = stripe_event("evt_nameless", "review.opened", NOW, referred("prv_1", BOB));
    nameless["data"]["object"]["object"] = json!("review");
    for event in [&own, &known, &charge, &unknown, &nameless] {
        let id = event["id"].as_str().unwrap();
        rig.has_at_rest(&message(event, id)).await;
    }
    let all = rig.export(&rig.found("cus_1").await).await;
    assert_eq!(ids(&all["waiting"], "id"), ["evt_own", "evt_charge"]);
    is_about(&all, ADA, BOB);
    let all = rig.export(&rig.found("cus_2").await).await;
    assert_eq!(ids(&all["waiting"], "id"), ["evt_known"]);
}

async fn merged_rows_are_exported_together(engine: Engine) {
    let rig = Rig::start(engine).await.joins().await;
    let mut life = life_of("cus_1", ADA, NOW - 100);
    life[0]["data"]["object"]["email"] = json!("ada.l@example.com");
    rig.happen(&life).await;
    let named = stripe_subscription("sub_2", "cus_2", "active");
    let kind = "customer.subscription.created";
    rig.happens(&stripe_event("evt_named", kind, NOW - 60, named))
        .await;
    let rows = [rig.found("cus_1").await, rig.found("cus_2").await];
    let mut same = account_of("cus_2", ADA);
    same["name"] = json!("Ada under another name");
    rig.happens(&stripe_event(
        "evt_same",
        "customer.updated",
        NOW - 50,
        same,
    ))
    .await;
    let shown = rig.found("cus_2").await;
    let before = rows.iter().find(|row| **row != shown).unwrap();
    let all = rig.export(&shown).await;
    let accounts = ids(&all["accounts"], "account");
    assert_eq!(accounts, ["cus_1", "cus_2"]);
    let rows = all["stored"].as_array().unwrap().iter();
    let rows = rows.filter(|it| it["table"] == "customers");
    assert_eq!(rows.count(), 2);
    assert!(ids(&all["events"], "id").contains(&"evt_named".to_owned()));
    assert!(all.to_string().contains("Ada under another name"));
    // Its neighbours say the same of the row that is not shown any more.
    let neighbour = rig.get(&format!("/customers/{before}/subscriptions")).await;
    let merged = rig.get(&format!("/customers/{before}/export")).await;
    assert_eq!(
        (merged.status, &merged.body["code"]),
        (neighbour.status, &neighbour.body["code"])
    );
    assert_eq!(merged.body["code"], "customer_merged");
}

on_both_stores!(
    a_first_account_that_was_moved_goes_with_its_person,
    a_long_export_is_whole,
    a_removed_payload_is_said_to_be_missing,
    an_account_that_was_parted_goes_with_its_person,
    an_event_of_two_people_is_shown_to_neither,
    an_export_needs_an_admin_of_the_app,
    an_export_shows_what_the_lists_show,
    merged_rows_are_exported_together,
    what_is_exported_is_what_is_erased,
    what_waits_and_only_mentions_an_account_is_not_shown,
    who_shares_an_address_is_not_shown,
    who_was_somebody_else_once_is_not_shown_with_forgotten_words,
);
