//! Get-or-create is atomic, in each dialect that has it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::guide::Guide;
use crate::support::stores::{Engine, on_both_stores};

async fn fifty_at_once_get_one_customer_in_either_dialect(engine: Engine) {
    let guide = Guide::start(engine, "").await;
    let token = guide.app("my-app").await;
    let guide = Arc::new(guide);
    for (place, envelope, name) in [
        ("/api/v1/customers", "", "ada"),
        ("/api/v1/apps/my-app/customers", "/data", "bob"),
    ] {
        let mut tasks = Vec::new();
        for n in 0..50 {
            let (guide, token) = (Arc::clone(&guide), token.clone());
            tasks.push(tokio::spawn(async move {
                // The same person, whatever the case and whatever else is said.
                let domain = if n % 2 == 0 { "x.com" } else { "X.com" };
                let body = json!({"email": format!("{name}@{domain}"), "phone": n.to_string()});
                let path = format!("{place}/get-or-create");
                let answer = guide.call_as(&token, "POST", &path, Some(body)).await;
                (
                    answer.status,
                    answer.body.pointer(envelope).unwrap()["id"].clone(),
                )
            }));
        }
        let (mut made, mut ids) = (0, BTreeSet::new());
        for task in tasks {
            let (status, id): (u16, Value) = task.await.unwrap();
            assert!([200, 201].contains(&status), "{place}: {status}");
            made += usize::from(status == 201);
            ids.insert(id.as_str().unwrap().to_owned());
        }
        assert_eq!((made, ids.len()), (1, 1), "{place}");
    }
    let listed = guide
        .call_as(&token, "GET", "/api/v1/customers", None)
        .await
        .is(200);
    assert_eq!(listed["meta"]["total"], 2);
}

async fn fifty_at_once_attach_one_missing_id(engine: Engine) {
    let guide = Arc::new(Guide::start(engine, "").await);
    let known = json!({"email": "ada@x.com"});
    let known = guide.call("POST", "/api/v1/customers", Some(known)).await;
    let known = known.is(201);
    let mut tasks = Vec::new();
    for n in 0..50 {
        let guide = Arc::clone(&guide);
        tasks.push(tokio::spawn(async move {
            // One account in its two spellings.
            let external_id = ["cus_1", "stripe_cus_1"][n % 2];
            let body = json!({"email": "Ada@x.com", "external_id": external_id});
            let path = "/api/v1/customers/get-or-create";
            guide.call("POST", path, Some(body)).await.is(200)
        }));
    }
    let mut ids = BTreeSet::new();
    for task in tasks {
        let got = task.await.unwrap();
        assert_eq!(got["id"], known["id"]);
        ids.insert(got["external_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let audit = guide.call("GET", "/api/v1/audit?page_size=100", None).await;
    let entries = audit.is(200)["data"].as_array().unwrap().clone();
    let changes = entries
        .iter()
        .filter(|it| it["operation"] == "update_profile");
    assert_eq!(changes.count(), 1, "{entries:?}");
}

async fn an_id_and_an_address_must_not_name_two(engine: Engine) {
    let guide = Guide::start(engine, "").await;
    let make = async |body: Value| {
        let made = guide.call("POST", "/api/v1/customers", Some(body)).await;
        made.is(201)["id"].clone()
    };
    let ada = make(json!({"email": "ada@x.com", "external_id": "stripe_cus_1"})).await;
    let bob = make(json!({"email": "bob@x.com", "external_id": "e-2"})).await;
    for (place, envelope) in [
        ("/api/v1/customers", ""),
        ("/api/v1/apps/default/customers", "/data"),
    ] {
        let ask = async |email: &str, external_id: &str| {
            let body = json!({"email": email, "external_id": external_id});
            let path = format!("{place}/get-or-create");
            guide.call("POST", &path, Some(body)).await
        };
        for (email, external_id) in [
            ("bob@x.com", "stripe_cus_1"),
            ("BOB@x.com", "cus_1"),
            ("ada@x.com", "e-2"),
            ("ada@x.com", "e-3"),
        ] {
            let problem = ask(email, external_id).await.is(409);
            assert_eq!(problem["code"], "identity_conflict", "{problem}");
        }
        for (email, external_id, id) in [
            ("ada@x.com", "stripe_cus_1", &ada),
            ("Ada@x.com", "cus_1", &ada),
            ("bob@x.com", "e-2", &bob),
            // The address is nobody's.
            ("robert@x.com", "e-2", &bob),
        ] {
            let got = ask(email, external_id).await.is(200);
            assert_eq!(&got.pointer(envelope).unwrap()["id"], id, "{got}");
        }
    }
    let listed = guide.call("GET", "/api/v1/customers", None).await.is(200);
    assert_eq!(listed["meta"]["total"], 2);
}

on_both_stores! {
    fifty_at_once_get_one_customer_in_either_dialect,
    fifty_at_once_attach_one_missing_id,
    an_id_and_an_address_must_not_name_two,
}
