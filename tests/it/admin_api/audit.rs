//! The audit: who changed what, from what to what.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

async fn listed(rig: &Rig, query: &str) -> Vec<Value> {
    let path = format!("/audit?page_size=100{query}");
    let list = rig.get(&path).await.expect(200);
    list["data"].as_array().unwrap().clone()
}

fn operations(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| entry["operation"].as_str().unwrap())
        .collect()
}

async fn what_an_admin_and_an_event_did_is_listed_with_from_and_to(engine: Engine) {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 50,
        account,
    ))
    .await;
    let customer = rig.get("/customers/by-external/cus_1").await.expect(200);
    rig.pass(60);
    let token = rig.admin("admin", None).await;
    let suspend = format!("{}/suspend", path_of(&customer));
    let body = json!({"reason": "chargeback"});
    rig.as_admin(&token, "POST", &suspend, Some(body))
        .await
        .expect(200);

    let of_customer = listed(&rig, &format!("&customer_id={}", id_of(&customer))).await;
    let suspended = &of_customer[0];
    assert_eq!(suspended["operation"], "suspend", "the newest comes first");
    assert_eq!(suspended["at"], "2026-01-05T12:01:00.000Z");
    assert_eq!(suspended["event_id"], Value::Null);
    assert_eq!(suspended["details"]["from"]["name"], "active");
    assert_eq!(suspended["details"]["reason"], "chargeback");
    let actor = suspended["actor"].as_str().unwrap();
    assert!(actor.starts_with("admin:atok_"), "{actor}");
    for entry in &of_customer[1..] {
        assert_eq!(entry["actor"], "event:stripe:evt_1", "{entry}");
        assert_eq!(entry["event_id"], "evt_1");
    }
    assert!(operations(&of_customer).contains(&"create"));
}

async fn the_audit_is_filtered_and_walked(engine: Engine) {
    let rig = Rig::start(engine).await;
    let account = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 50,
        account,
    ))
    .await;
    rig.pass(60);
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let made = rig.post("/admin-tokens", json!({"name": "ci", "role": "admin"}));
    let made = made.await.expect(201);
    rig.pass(60);
    let token = made["token"].as_str().unwrap();
    let freeze = format!("{}/freeze", path_of(&customer));
    rig.as_admin(token, "POST", &freeze, None).await.expect(200);

    let (id, admin) = (id_of(&customer), id_of(&made));
    let of_event = listed(&rig, "&event_id=evt_1").await;
    assert!(!of_event.is_empty());
    let mine = ["token_create", "create"];
    let cases: Vec<(String, Vec<&str>)> = vec![
        ("&actor=event".to_owned(), operations(&of_event)),
        ("&event_id=evt_2".to_owned(), vec![]),
        (format!("&actor={admin}"), vec!["freeze"]),
        (format!("&actor=admin:{admin}"), vec!["freeze"]),
        (
            "&actor=root".to_owned(),
            [&["admin_token_create"], &mine[..]].concat(),
        ),
        (
            "&actor=admin".to_owned(),
            [&["freeze", "admin_token_create"], &mine[..]].concat(),
        ),
        ("&actor=timer".to_owned(), vec![]),
        (
            format!("&customer_id={id}"),
            [&["freeze"], &mine[..]].concat(),
        ),
        ("&operation=freeze".to_owned(), vec!["freeze"]),
        (
            format!("&operation=create&customer_id={id}"),
            vec!["create"],
        ),
        ("&since=2026-01-05T12:02:00.000Z".to_owned(), vec!["freeze"]),
        (
            "&until=2026-01-05T12:01:00.000Z".to_owned(),
            operations(&of_event),
        ),
    ];
    for (query, expected) in cases {
        assert_eq!(operations(&listed(&rig, &query).await), expected, "{query}");
    }
    let all = listed(&rig, "").await;
    let mut walked = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/audit?cursor={cursor}&page_size=2");
        let part = rig.get(&path).await.expect(200);
        walked.extend(part["data"].as_array().unwrap().clone());
        match part["meta"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(walked, all);
    for (query, field) in [
        ("actor=somebody", "actor"),
        ("customer_id=x", "customer_id"),
        ("since=yesterday", "since"),
    ] {
        let refused = rig.get(&format!("/audit?{query}")).await;
        let refused = refused.refused(422, "query_invalid");
        assert_eq!(refused["errors"][0]["field"], field);
    }
}

async fn an_app_sees_its_own_audit_alone(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", body).await.expect(201);
    rig.customer(json!({"name": "Acme"})).await;
    let viewer = rig.admin("viewer", Some("other")).await;
    let list = rig.as_admin(&viewer, "GET", "/audit", None).await;
    let list = list.expect(200);
    let entries = list["data"].as_array().unwrap();
    assert_eq!(operations(entries), ["admin_token_create", "app_create"]);
    // What takes a token back is told where its making was.
    let tokens = rig.get("/admin-tokens").await.expect(200);
    let path = format!("/admin-tokens/{}", id_of(&tokens["data"][0]));
    let owner = rig.admin("owner", Some("other")).await;
    rig.delete(&path).await.expect(204);
    let list = rig.as_admin(&owner, "GET", "/audit", None).await;
    let newest = &list.expect(200)["data"][0];
    assert_eq!(newest["operation"], "admin_token_revoke");
    assert_eq!(newest["details"]["from"]["role"], "viewer");
}

async fn the_database_refuses_to_change_or_remove_entries(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", body).await.expect(201);
    rig.customer(json!({"name": "Acme"})).await;
    let before = listed(&rig, "").await;
    for sql in [
        "UPDATE audit SET operation = 'nothing'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE app = 'other'",
    ] {
        let refusal = rig.place.try_run(sql).await.expect_err(sql);
        assert!(refusal.contains("append-only"), "{sql}: {refusal}");
    }
    assert_eq!(listed(&rig, "").await, before);

    rig.delete("/apps/other").await.expect(204);
    let newest = &listed(&rig, "").await[0];
    assert_eq!(newest["operation"], "app_delete");
    assert_eq!(
        newest["details"],
        json!({"slug": "other", "from": "Other", "to": null})
    );
}

on_both_stores! {
    what_an_admin_and_an_event_did_is_listed_with_from_and_to,
    the_audit_is_filtered_and_walked,
    an_app_sees_its_own_audit_alone,
    the_database_refuses_to_change_or_remove_entries,
}
