//! Customers: making, finding, changing, holding and deleting them.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::rig::{NOW, ROOT, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

async fn a_customer_has_every_field(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .customer(json!({
            "name": "Acme", "email": "Dev@Acme.com", "external_id": "e-1", "user_id": "u-1",
            "phone": "+1-555-0100", "billing_address_line1": "123 Main St",
            "billing_address_line2": "Apt 4B", "billing_address_city": "San Francisco",
            "billing_address_state": "CA", "billing_address_postal_code": "94105",
            "billing_address_country": "US", "tax_id": "12-3456789", "metadata": {"tier": ["gold"]},
        }))
        .await;
    let shown = rig.get(&path_of(&made)).await.expect(200);
    // The same on both stores.
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(shown, {".id" => "[id]"}, @r#"
        {
          "app": "default",
          "billing_address_city": "San Francisco",
          "billing_address_country": "US",
          "billing_address_line1": "123 Main St",
          "billing_address_line2": "Apt 4B",
          "billing_address_postal_code": "94105",
          "billing_address_state": "CA",
          "created_at": "2026-01-05T12:00:00.000Z",
          "deleted_at": null,
          "email": "Dev@Acme.com",
          "external_id": "e-1",
          "flags": [],
          "frozen_at": null,
          "frozen_versions": null,
          "holds": [],
          "id": "[id]",
          "metadata": {
            "tier": [
              "gold"
            ]
          },
          "name": "Acme",
          "organization_id": "default",
          "phone": "+1-555-0100",
          "status": "active",
          "status_reason": null,
          "status_since": "2026-01-05T12:00:00.000Z",
          "tax_id": "12-3456789",
          "updated_at": "2026-01-05T12:00:00.000Z",
          "user_id": "u-1"
        }
        "#);
    }
}

async fn what_is_wrong_with_a_new_customer_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    let cases = [
        ("nothing", json!({}), vec!["name", "email"]),
        (
            "no name, no address",
            json!({"external_id": "e"}),
            vec!["name", "email"],
        ),
        ("no address", json!({"email": "nobody"}), vec!["email"]),
        (
            "empty",
            json!({"name": " ", "phone": ""}),
            vec!["name", "phone"],
        ),
        (
            "control character",
            json!({"name": "a\u{7}b"}),
            vec!["name"],
        ),
        ("too long", json!({"name": "a".repeat(256)}), vec!["name"]),
        (
            "unknown field",
            json!({"name": "a", "nmae": "b"}),
            vec!["nmae"],
        ),
        ("wrong type", json!({"name": 1}), vec!["name"]),
        (
            "metadata",
            json!({"name": "a", "metadata": "b"}),
            vec!["metadata"],
        ),
    ];
    for (description, body, fields) in cases {
        let problem = rig
            .post("/customers", body)
            .await
            .refused(422, "body_invalid");
        let errors = problem["errors"].as_array().unwrap();
        let named: Vec<&str> = errors
            .iter()
            .map(|it| it["field"].as_str().unwrap())
            .collect();
        assert_eq!(named, fields, "{description}: {problem}");
    }
}

async fn an_address_or_external_id_belongs_to_one_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.customer(json!({"email": "a@x.com", "external_id": "e-1"}))
        .await;
    let other = rig.customer(json!({"email": "b@x.com"})).await;
    let taken = json!({"email": "A@X.com"});
    rig.post("/customers", taken.clone())
        .await
        .refused(409, "email_taken");
    rig.put(&path_of(&other), taken)
        .await
        .refused(409, "email_taken");
    let taken = json!({"name": "c", "external_id": "e-1"});
    rig.post("/customers", taken.clone())
        .await
        .refused(409, "external_id_taken");
    rig.put(&path_of(&other), taken)
        .await
        .refused(409, "external_id_taken");
    let own = json!({"email": "B@x.com", "external_id": "e-2"});
    let changed = rig.put(&path_of(&other), own).await.expect(200);
    assert_eq!(
        (&changed["email"], &changed["changed"]),
        (&json!("B@x.com"), &json!(true))
    );
}

async fn a_known_billing_account_is_taken_in_either_spelling(engine: Engine) {
    let rig = Rig::start(engine).await.joins().await;
    let account = stripe_customer("cus_1", "first@x.com");
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 100,
        account,
    ))
    .await;
    for external_id in ["cus_1", "stripe_cus_1"] {
        let body = json!({"name": "n", "external_id": external_id});
        rig.post("/customers", body)
            .await
            .refused(409, "external_id_taken");
    }
    let body = json!({"email": "First@x.com"});
    rig.post("/customers", body)
        .await
        .refused(409, "email_taken");
    let known = rig
        .get("/customers/by-email?email=first@X.com")
        .await
        .expect(200);
    assert_eq!(known["external_id"], "stripe_cus_1");
    for spelling in ["cus_1", "stripe_cus_1"] {
        let found = rig
            .get(&format!("/customers/by-external/{spelling}"))
            .await
            .expect(200);
        assert_eq!(found["id"], known["id"], "{spelling}");
        let path = format!("/customers/by-external-id?external_id={spelling}");
        assert_eq!(
            rig.get(&path).await.expect(200)["id"],
            known["id"],
            "{spelling}"
        );
        let path = format!("/customers?external_id={spelling}");
        let listed = rig.get(&path).await.expect(200);
        assert_eq!(listed["meta"]["total"], 1, "{spelling}");
        assert_eq!(listed["data"][0]["id"], known["id"], "{spelling}");
    }
    let got = json!({"external_id": "cus_1", "name": "n"});
    let got = rig.post("/customers/get-or-create", got).await.expect(200);
    assert_eq!(got["id"], known["id"]);
}

async fn who_is_not_there_is_not_found(engine: Engine) {
    let rig = Rig::start(engine).await;
    let nobody = format!("/customers/cust_{}", "0".repeat(32));
    for path in [
        nobody.as_str(),
        "/customers/17",
        "/customers/by-external/nobody",
        "/customers/by-external-id?external_id=nobody",
        "/customers/by-email?email=nobody@x.com",
        &format!("{nobody}/packages"),
        &format!("{nobody}/tokens"),
        &format!("{nobody}/events"),
        &format!("{nobody}/access?package=a/b"),
    ] {
        rig.get(path).await.refused(404, "customer_not_found");
    }
    for act in ["suspend", "reactivate", "freeze", "expire"] {
        let path = format!("{nobody}/{act}");
        rig.post(&path, json!({}))
            .await
            .refused(404, "customer_not_found");
    }
    rig.put(&nobody, json!({"name": "x"}))
        .await
        .refused(404, "customer_not_found");
    rig.delete(&nobody).await.refused(404, "customer_not_found");
    rig.get("/customers/by-email")
        .await
        .refused(422, "query_invalid");
}

async fn get_or_create_finds_by_external_id_and_by_address(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = "/customers/get-or-create";
    let one = rig
        .post(path, json!({"email": "a@x.com", "external_id": "e-1"}))
        .await
        .expect(201);
    assert!(one["token"].is_string());
    let two = rig
        .post(path, json!({"email": "b@x.com"}))
        .await
        .expect(201);
    let of_two = json!({"email": "b@x.com", "external_id": "e-1"});
    rig.post(path, of_two)
        .await
        .refused(409, "identity_conflict");
    let by_external = json!({"email": "c@x.com", "external_id": "e-1"});
    let found = rig.post(path, by_external).await.expect(200);
    assert_eq!(found["id"], one["id"]);
    assert_eq!(found.get("token"), None, "the token is shown once");
    let by_email = json!({"email": "B@X.COM", "external_id": "e-2"});
    let found = rig.post(path, by_email).await.expect(200);
    assert_eq!(
        (&found["id"], &found["external_id"]),
        (&two["id"], &json!("e-2"))
    );
    rig.post(path, json!({"email": "nobody"}))
        .await
        .refused(422, "body_invalid");
}

async fn fifty_concurrent_get_or_create_requests_get_one_customer(engine: Engine) {
    let rig = Arc::new(Rig::start(engine).await);
    let asks: Vec<_> = (0..50)
        .map(|n| {
            let rig = Arc::clone(&rig);
            let email = if n % 2 == 0 {
                "jane@x.com"
            } else {
                "Jane@X.com"
            };
            tokio::spawn(async move {
                let body = json!({"email": email, "name": "Jane"});
                rig.post("/customers/get-or-create", body).await
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    let mut made = 0;
    for ask in asks {
        let answer = ask.await.unwrap();
        made += usize::from(answer.status == 201);
        assert!(matches!(answer.status, 200 | 201), "{}", answer.body);
        ids.insert(id_of(&answer.body));
    }
    assert_eq!((ids.len(), made), (1, 1));
    assert_eq!(rig.get("/customers").await.expect(200)["meta"]["total"], 1);
}

async fn only_given_fields_change_and_null_clears(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .customer(json!({"name": "Acme", "phone": "1", "metadata": {"a": 1}}))
        .await;
    for method in ["PUT", "PATCH"] {
        let body = json!({"phone": null, "email": "a@x.com"});
        let changed = rig
            .as_admin(ROOT, method, &path_of(&made), Some(body))
            .await
            .expect(200);
        assert_eq!(changed["name"], "Acme", "{method}");
        assert_eq!(changed["phone"], json!(null), "{method}");
        assert_eq!(changed["metadata"], json!({"a": 1}), "{method}");
        assert_eq!(
            changed["changed"],
            method == "PUT",
            "the second changes nothing"
        );
    }
}

async fn name_and_address_cannot_both_be_cleared(engine: Engine) {
    let rig = Rig::start(engine).await;
    let both = json!({"name": "Acme", "email": "a@x.com"});
    let one = path_of(&rig.customer(both).await);
    let of_app = format!("/apps/default{one}");
    let refused = async |method: &str, body: Value, fields: &[&str]| {
        for path in [&one, &of_app] {
            let sent = Some(body.clone());
            let answer = rig.as_admin(ROOT, method, path, sent).await;
            let problem = answer.refused(422, "body_invalid");
            let errors = problem["errors"].as_array().unwrap().iter();
            let named: Vec<&str> = errors.map(|it| it["field"].as_str().unwrap()).collect();
            // In the dialect of apps an address is never cleared, whatever the name.
            let alone = path == &of_app && body.get("email").is_some();
            let fields = if alone { &["email"] } else { fields };
            assert_eq!(named, fields, "{method} {path} {body}");
        }
    };
    let changed = async |body: Value| rig.as_admin(ROOT, "PATCH", &one, Some(body)).await;
    for method in ["PUT", "PATCH"] {
        let body = json!({"name": null, "email": null});
        refused(method, body, &["name", "email"]).await;
    }
    changed(json!({"email": null})).await.expect(200);
    for method in ["PUT", "PATCH"] {
        refused(method, json!({"name": null}), &["name"]).await;
        let body = json!({"name": null, "email": null, "phone": "1"});
        refused(method, body, &["name", "email"]).await;
    }
    // The other may come with it.
    let body = json!({"name": null, "email": "b@x.com"});
    let shown = changed(body).await.expect(200);
    assert_eq!(
        (&shown["name"], &shown["phone"]),
        (&json!(null), &json!(null))
    );

    // What billing knows is shown in place of what is cleared.
    let account = stripe_customer("cus_1", "paid@x.com");
    rig.happens(&stripe_event("evt_1", "customer.created", NOW - 9, account))
        .await;
    let paid = path_of(&rig.get("/customers/by-external/cus_1").await.expect(200));
    let cleared = json!({"name": null, "email": null});
    let answer = rig.as_admin(ROOT, "PATCH", &paid, Some(cleared)).await;
    assert_eq!(answer.expect(200)["email"], "paid@x.com");
}

async fn repeating_an_operation_changes_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let at = "2026-01-01T00:00:00.000Z";
    let cases = [
        ("suspend", json!({"reason": "r"}), "suspended"),
        ("reactivate", json!({}), "active"),
        ("freeze", json!({"at": at}), "frozen"),
        (
            "freeze",
            json!({"versions": [{"package": "a/b", "version": "1.0"}]}),
            "frozen",
        ),
        ("expire", json!({"reason": "over"}), "expired"),
    ];
    for (operation, body, status) in cases {
        for changed in [true, false] {
            rig.pass(1);
            let path = format!("{path}/{operation}");
            let answer = rig.post(&path, body.clone()).await.expect(200);
            assert_eq!(answer["status"], status, "{operation}");
            assert_eq!(answer["changed"], changed, "{operation}: {answer}");
        }
    }
}

async fn operations_refuse_what_they_cannot_read(engine: Engine) {
    let rig = Rig::start(engine).await;
    let path = path_of(&rig.customer(json!({"name": "Acme"})).await);
    let cases = [
        ("suspend", json!({"raeson": "r"}), "raeson"),
        ("suspend", json!({"reason": ""}), "reason"),
        ("reactivate", json!({"raeson": "r"}), "raeson"),
        ("freeze", json!({"at": "yesterday"}), "at"),
        (
            "freeze",
            json!({"versions": [{"package": "a", "version": "1"}]}),
            "versions[0].package",
        ),
        (
            "freeze",
            json!({"versions": [{"package": "a/b", "version": "^1"}]}),
            "versions[0].version",
        ),
        (
            "freeze",
            json!({"at": "2026-01-01T00:00:00.000Z", "versions": []}),
            "at",
        ),
    ];
    for (operation, body, field) in cases {
        let path = format!("{path}/{operation}");
        let problem = rig.post(&path, body).await.refused(422, "body_invalid");
        assert_eq!(problem["errors"][0]["field"], field, "{operation}");
    }
    assert_eq!(rig.get(&path).await.expect(200)["status"], "active");
}

async fn a_softly_deleted_customer_stays_and_frees_its_names(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"email": "a@x.com", "external_id": "e-1"});
    let made = rig.customer(body.clone()).await;
    let path = path_of(&made);
    rig.delete(&format!("{path}?soft=true")).await.expect(204);
    rig.delete(&format!("{path}?soft=true")).await.expect(204);
    assert_eq!(rig.get("/customers").await.expect(200)["meta"]["total"], 0);
    let all = rig.get("/customers?include_deleted=true").await.expect(200);
    assert_eq!(all["data"][0]["deleted_at"], "2026-01-05T12:00:00.000Z");
    rig.get("/customers/by-email?email=a@x.com")
        .await
        .refused(404, "customer_not_found");
    rig.post(&format!("{path}/suspend"), json!({}))
        .await
        .refused(409, "customer_deleted");
    rig.put(&path, json!({"name": "x"}))
        .await
        .refused(409, "customer_deleted");

    let next = rig.customer(body).await;
    assert_ne!(next["id"], made["id"]);
    rig.delete(&path).await.expect(204);
    rig.get(&path).await.refused(404, "customer_not_found");
    let all = rig.get("/customers?include_deleted=true").await.expect(200);
    assert_eq!(all["meta"]["total"], 1);
}

async fn a_deleted_customer_is_not_revived_by_its_accounts(engine: Engine) {
    for query in ["", "?soft=true"] {
        let rig = Rig::start(engine).await;
        let account = stripe_customer("cus_1", "one@x.com");
        let created = stripe_event("evt_1", "customer.created", NOW - 50, account.clone());
        rig.happens(&created).await;
        let path = path_of(&rig.get("/customers/by-external/cus_1").await.expect(200));
        rig.delete(&format!("{path}{query}")).await.expect(204);
        let updated = stripe_event("evt_2", "customer.updated", NOW - 40, account);
        rig.happens(&updated).await;
        let event = rig.get("/events/evt_2").await.expect(200);
        assert_eq!(event["outcome"], "ignored", "{query}: {event}");
        assert_eq!(event["error"]["code"], "customer_deleted", "{query}");
        let left = rig.get("/customers").await.expect(200);
        assert_eq!(left["meta"]["total"], 0, "{query}");
        let body = json!({"email": "one@x.com", "external_id": "cus_1"});
        rig.post("/customers", body).await.expect(201);
    }
}

async fn a_merged_customer_names_the_one_that_is_shown(engine: Engine) {
    let rig = Rig::start(engine).await.joins().await;
    let first = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event("evt_1", "customer.created", NOW - 50, first))
        .await;
    let second = json!({"id": "cus_2", "object": "customer", "email": "one@x.com"});
    // The account is named before its address is known, and so has a row of its own at first.
    let named = json!({"id": "sub_2", "object": "subscription", "customer": "cus_2",
        "status": "active", "items": {"data": [{"price": {"id": "price_1"}}]}});
    rig.happens(&stripe_event(
        "evt_2",
        "customer.subscription.created",
        NOW - 40,
        named,
    ))
    .await;
    let merged = rig.get("/customers/by-external/cus_2").await.expect(200);
    rig.happens(&stripe_event("evt_3", "customer.created", NOW - 45, second))
        .await;

    let shown = rig.get("/customers/by-external/cus_2").await.expect(200);
    assert_ne!(shown["id"], merged["id"]);
    let problem = rig
        .get(&path_of(&merged))
        .await
        .refused(404, "customer_merged");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(shown["id"].as_str().unwrap()), "{detail}");
    let path = format!("{}/suspend", path_of(&merged));
    rig.post(&path, json!({}))
        .await
        .refused(404, "customer_merged");
    assert_eq!(rig.get("/customers").await.expect(200)["meta"]["total"], 1);
}

async fn an_address_with_a_plus_is_found_encoded_or_not(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"email": "ada+lists@x.com"})).await;
    for spelling in [
        "ada%2Blists@x.com",
        "ada+lists@x.com",
        "ADA%2blists%40x.com",
    ] {
        let path = format!("/customers/by-email?email={spelling}");
        let found = rig.get(&path).await.expect(200);
        assert_eq!(found["id"], made["id"], "{spelling}");
    }
}

on_both_stores! {
    a_customer_has_every_field,
    what_is_wrong_with_a_new_customer_is_named,
    an_address_or_external_id_belongs_to_one_customer,
    a_known_billing_account_is_taken_in_either_spelling,
    who_is_not_there_is_not_found,
    get_or_create_finds_by_external_id_and_by_address,
    fifty_concurrent_get_or_create_requests_get_one_customer,
    only_given_fields_change_and_null_clears,
    name_and_address_cannot_both_be_cleared,
    repeating_an_operation_changes_nothing,
    operations_refuse_what_they_cannot_read,
    a_softly_deleted_customer_stays_and_frees_its_names,
    a_deleted_customer_is_not_revived_by_its_accounts,
    a_merged_customer_names_the_one_that_is_shown,
    an_address_with_a_plus_is_found_encoded_or_not,
}
