//! Licences of customers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::rig::{NOW, ROOT, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

async fn license(rig: &Rig, customer: &Value, key: &str) -> Value {
    let body = json!({"customer_id": id_of(customer), "product": "Tool", "key": key});
    rig.post("/licenses", body).await.expect(201)
}

async fn verdict(rig: &Rig, key: &str) -> (bool, String) {
    let body = json!({"key": key});
    let answer = rig.post("/licenses/validate", body).await.expect(200);
    let code = answer["code"].as_str().unwrap().to_owned();
    (answer["valid"].as_bool().unwrap(), code)
}

fn ids(list: &Value) -> Vec<&str> {
    let rows = list["data"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap()).collect()
}

async fn a_license_is_made_shown_and_validated(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let body = json!({"customer_id": id_of(&customer), "product": "Forms Pro",
        "expires_at": "2026-02-01T00:00:00.000Z", "metadata": {"seats": 5}});
    let made = rig.post("/licenses", body).await.expect(201);
    // The same on both stores.
    insta::allow_duplicates! {
        insta::assert_json_snapshot!(made, {
            ".id" => "[id]", ".customer_id" => "[id]", ".key" => "[key]"
        }, @r#"
        {
          "activations": 0,
          "activations_limit": null,
          "app": "default",
          "code": "ok",
          "created_at": "2026-01-05T12:00:00.000Z",
          "customer_id": "[id]",
          "expires_at": "2026-02-01T00:00:00.000Z",
          "id": "[id]",
          "key": "[key]",
          "metadata": {
            "seats": 5
          },
          "product": "Forms Pro",
          "revoked_at": null,
          "revoked_reason": null,
          "source": null,
          "status": "active",
          "valid": true
        }
        "#);
    }
    let path = format!("/licenses/{}", id_of(&made));
    assert_eq!(
        rig.get(&path).await.expect(200),
        made,
        "the key is shown again"
    );

    let key = made["key"].as_str().unwrap();
    let groups: Vec<&str> = key.split('-').collect();
    assert_eq!(groups.len(), 5, "{key}");
    assert!(groups.iter().all(|group| group.len() == 5), "{key}");
    // Copied with the blanks around it.
    let body = json!({"key": format!(" {key}\n")});
    let answer = rig.post("/licenses/validate", body).await.expect(200);
    let expected = json!({"valid": true, "code": "ok", "license_id": made["id"],
        "product": "Forms Pro", "expires_at": "2026-02-01T00:00:00.000Z",
        "customer_id": customer["id"], "customer_status": "active", "frozen_at": null,
        "activations": 0, "activations_limit": null, "activation_id": null, "source": null});
    assert_eq!(answer, expected);
}

async fn a_key_from_elsewhere_is_kept_and_unique_in_its_app(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    assert_eq!(
        license(&rig, &customer, "OLD/key_1").await["key"],
        "OLD/key_1"
    );
    let again = json!({"customer_id": id_of(&customer), "product": "Other", "key": "OLD/key_1"});
    rig.post("/licenses", again)
        .await
        .refused(409, "license_key_taken");
    assert_eq!(
        verdict(&rig, "old/key_1").await,
        (false, "license_unknown".to_owned()),
        "capitals count"
    );

    let body = json!({"slug": "other", "name": "Other"});
    rig.post("/apps", body).await.expect(201);
    let token = rig.admin("admin", Some("other")).await;
    let body = json!({"key": "OLD/key_1"});
    let answer = rig
        .as_admin(&token, "POST", "/licenses/validate", Some(body))
        .await;
    assert_eq!(answer.expect(200)["code"], "license_unknown");
    let stranger = rig
        .as_admin(&token, "POST", "/customers", Some(json!({"name": "There"})))
        .await
        .expect(201);
    let body = json!({"customer_id": id_of(&stranger), "product": "Tool", "key": "OLD/key_1"});
    rig.as_admin(&token, "POST", "/licenses", Some(body.clone()))
        .await
        .expect(201);
    let list = rig.as_admin(&token, "GET", "/licenses", None).await;
    assert_eq!(list.expect(200)["meta"]["total"], 1);
    let answer = rig
        .post("/licenses", body)
        .await
        .refused(422, "body_invalid");
    assert_eq!(
        answer["errors"][0]["field"], "customer_id",
        "of another app"
    );
}

async fn a_made_key_is_read_as_people_type_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let body = json!({"customer_id": id_of(&customer), "product": "Tool"});
    let made = rig.post("/licenses", body).await.expect(201);
    let key = made["key"].as_str().unwrap();
    let typed = [
        key.to_lowercase(),
        key.replace('-', ""),
        key.replace('-', " ").to_lowercase(),
        key.replace('0', "O").replace('1', "l"),
        key.replace('0', "o").replace('1', "I"),
        format!("\t{}\n", key.replace('-', " \u{2013} ")),
    ];
    for typed in &typed {
        assert_eq!(
            verdict(&rig, typed).await,
            (true, "ok".to_owned()),
            "{typed}"
        );
    }
    let lower = &typed[0];
    let found = rig.get(&format!("/licenses?key={lower}")).await.expect(200);
    assert_eq!(ids(&found), [id_of(&made)]);
    let found = rig.get("/licenses?key=unknown").await.expect(200);
    assert_eq!(ids(&found), Vec::<&str>::new());

    // Whatever reads as a key that was sold is taken.
    for taken in [key, lower] {
        let body = json!({"customer_id": id_of(&customer), "product": "Tool", "key": taken});
        rig.post("/licenses", body)
            .await
            .refused(409, "license_key_taken");
    }
    // One from elsewhere may look like one of ours, and is another in any other spelling.
    let foreign = "abcde-fghjk-mnpqr-stvwx-yz012";
    license(&rig, &customer, foreign).await;
    assert_eq!(verdict(&rig, foreign).await, (true, "ok".to_owned()));
    for other in [foreign.to_uppercase(), foreign.replace('-', "")] {
        let unknown = (false, "license_unknown".to_owned());
        assert_eq!(verdict(&rig, &other).await, unknown, "{other}");
    }
    license(&rig, &customer, &foreign.to_uppercase()).await;
}

async fn keys_are_not_readable_at_rest(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let foreign = license(&rig, &customer, "OLD/key_1").await;
    let body = json!({"customer_id": id_of(&customer), "product": "Tool"});
    let made = rig.post("/licenses", body).await.expect(201);
    let keys = [&foreign, &made].map(|it| it["key"].as_str().unwrap());
    assert_eq!(rig.finds(&keys).await, Vec::<String>::new());

    // Without the key that sealed it nobody is shown it, and it is still good.
    let damage = "UPDATE licenses SET sealed_key = key_hash";
    rig.place.try_run(damage).await.unwrap();
    let path = format!("/licenses/{}", id_of(&made));
    assert_eq!(rig.get(&path).await.expect(200)["key"], Value::Null);
    assert_eq!(verdict(&rig, keys[1]).await, (true, "ok".to_owned()));
}

async fn made_keys_differ(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let mut keys = BTreeSet::new();
    for _ in 0..20 {
        let body = json!({"customer_id": id_of(&customer), "product": "Tool"});
        let made = rig.post("/licenses", body).await.expect(201);
        keys.insert(made["key"].as_str().unwrap().to_owned());
    }
    assert_eq!(keys.len(), 20);
}

async fn a_license_is_revoked_and_reinstated(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let made = license(&rig, &customer, "K").await;
    let path = format!("/licenses/{}", id_of(&made));
    let order = |word: &str| format!("{path}/{word}");

    let body = json!({"reason": "refunded"});
    let revoked = rig.post(&order("revoke"), body).await.expect(200);
    assert_eq!(revoked["changed"], true);
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(revoked["revoked_at"], "2026-01-05T12:00:00.000Z");
    assert_eq!(
        verdict(&rig, "K").await,
        (false, "license_revoked".to_owned())
    );

    rig.pass(5);
    let body = json!({"reason": "something else"});
    let again = rig.post(&order("revoke"), body).await.expect(200);
    assert_eq!(again["changed"], false);
    assert_eq!(again["revoked_reason"], "refunded", "the first word stays");
    assert_eq!(again["revoked_at"], "2026-01-05T12:00:00.000Z");

    let back = rig.as_admin(ROOT, "POST", &order("reinstate"), None).await;
    let back = back.expect(200);
    assert_eq!(
        (&back["changed"], &back["valid"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(back["revoked_reason"], Value::Null);
    assert_eq!(verdict(&rig, "K").await, (true, "ok".to_owned()));
    let again = rig.post(&order("reinstate"), json!({})).await.expect(200);
    assert_eq!(again["changed"], false);

    for unknown in [
        "/licenses/nonsense",
        "/licenses/lic_00000000000000000000000000000000",
    ] {
        rig.get(unknown).await.refused(404, "license_not_found");
        let revoke = format!("{unknown}/revoke");
        rig.post(&revoke, json!({}))
            .await
            .refused(404, "license_not_found");
    }
}

async fn a_license_is_valid_only_while_its_customer_may_have_it(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let made = license(&rig, &customer, "K").await;
    let path = path_of(&customer);
    let steps = [
        ("suspend", false, "customer_suspended"),
        ("expire", false, "customer_expired"),
        ("reactivate", true, "ok"),
        ("freeze", true, "ok"),
    ];
    for (act, valid, code) in steps {
        let body = json!({});
        rig.post(&format!("{path}/{act}"), body).await.expect(200);
        assert_eq!(verdict(&rig, "K").await, (valid, code.to_owned()), "{act}");
        let shown = rig.get(&format!("/licenses/{}", id_of(&made))).await;
        let shown = shown.expect(200);
        assert_eq!(shown["valid"], valid, "{act}: {shown}");
        assert_eq!(
            shown["status"], "active",
            "{act}: the licence itself is as it was"
        );
    }
    let body = json!({"key": "K"});
    let frozen = rig.post("/licenses/validate", body).await.expect(200);
    assert_eq!(frozen["customer_status"], "frozen");
    assert_eq!(frozen["frozen_at"], "2026-01-05T12:00:00.000Z");
}

async fn a_license_ends_at_its_time(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let body = json!({"customer_id": id_of(&customer), "product": "Tool", "key": "K",
        "expires_at": "2026-01-05T12:01:00.000Z"});
    rig.post("/licenses", body).await.expect(201);
    rig.pass(59);
    assert_eq!(verdict(&rig, "K").await, (true, "ok".to_owned()));
    rig.pass(1);
    assert_eq!(
        verdict(&rig, "K").await,
        (false, "license_expired".to_owned())
    );
    let expired = rig.get("/licenses?status=expired").await.expect(200);
    assert_eq!(expired["meta"]["total"], 1);
    let active = rig.get("/licenses?status=active").await.expect(200);
    assert_eq!(active["meta"]["total"], 0);
}

async fn licenses_go_with_their_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let made = license(&rig, &customer, "K").await;
    let (path, one) = (path_of(&customer), format!("/licenses/{}", id_of(&made)));

    rig.delete(&format!("{path}?soft=true")).await.expect(204);
    assert_eq!(
        verdict(&rig, "K").await,
        (false, "customer_deleted".to_owned())
    );
    let revoke = rig.post(&format!("{one}/revoke"), json!({})).await;
    assert_eq!(revoke.expect(200)["changed"], true);
    let reinstate = rig.post(&format!("{one}/reinstate"), json!({})).await;
    reinstate.refused(409, "customer_deleted");
    let body = json!({"customer_id": id_of(&customer), "product": "Tool"});
    rig.post("/licenses", body)
        .await
        .refused(409, "customer_deleted");

    rig.delete(&path).await.expect(204);
    assert_eq!(
        verdict(&rig, "K").await,
        (false, "license_unknown".to_owned())
    );
    rig.get(&one).await.refused(404, "license_not_found");
    let list = rig.get("/licenses").await.expect(200);
    assert_eq!(list["meta"]["total"], 0);
}

async fn a_merged_customers_licenses_count_for_the_one_that_is_shown(engine: Engine) {
    let rig = Rig::start(engine).await.joins().await;
    let first = stripe_customer("cus_1", "one@x.com");
    rig.happens(&stripe_event("evt_1", "customer.created", NOW - 50, first))
        .await;
    let named = json!({"id": "sub_2", "object": "subscription", "customer": "cus_2",
        "status": "active", "items": {"data": [{"price": {"id": "price_1"}}]}});
    let created = "customer.subscription.created";
    rig.happens(&stripe_event("evt_2", created, NOW - 40, named))
        .await;
    // The account is named before its address is known, and so has a row of its own at first.
    let apart = rig.get("/customers/by-external/cus_2").await.expect(200);
    license(&rig, &apart, "K").await;
    let second = stripe_customer("cus_2", "one@x.com");
    rig.happens(&stripe_event("evt_3", "customer.created", NOW - 45, second))
        .await;
    let shown = rig.get("/customers/by-external/cus_2").await.expect(200);
    assert_ne!(shown["id"], apart["id"]);

    let suspend = format!("{}/suspend", path_of(&shown));
    rig.post(&suspend, json!({})).await.expect(200);
    assert_eq!(
        verdict(&rig, "K").await,
        (false, "customer_suspended".to_owned())
    );
    for list in [
        format!("{}/licenses", path_of(&shown)),
        format!("/licenses?customer_id={}", id_of(&shown)),
    ] {
        let listed = rig.get(&list).await.expect(200);
        assert_eq!(
            listed["data"][0]["customer_id"], shown["id"],
            "{list}: {listed}"
        );
    }
    let body = json!({"customer_id": id_of(&apart), "product": "Tool"});
    let refused = rig
        .post("/licenses", body)
        .await
        .refused(422, "body_invalid");
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains(&id_of(&shown)), "{message}");
}

async fn licenses_are_filtered_paged_and_walked(engine: Engine) {
    let rig = Rig::start(engine).await;
    let one = rig.customer(json!({"name": "One"})).await;
    let two = rig.customer(json!({"name": "Two"})).await;
    let mut made = Vec::new();
    for (customer, product, key) in [(&one, "A", "K1"), (&one, "B", "K2"), (&two, "A", "K3")] {
        rig.pass(1);
        let body = json!({"customer_id": id_of(customer), "product": product, "key": key});
        made.push(id_of(&rig.post("/licenses", body).await.expect(201)));
    }
    let revoke = format!("/licenses/{}/revoke", made[0]);
    rig.post(&revoke, json!({})).await.expect(200);
    let [first, second, third] = [&made[0], &made[1], &made[2]].map(String::as_str);
    let cases = [
        (String::new(), vec![third, second, first]),
        (format!("customer_id={}", id_of(&one)), vec![second, first]),
        ("product=A".to_owned(), vec![third, first]),
        ("status=revoked".to_owned(), vec![first]),
        ("status=active&product=A".to_owned(), vec![third]),
        ("key=K2".to_owned(), vec![second]),
        ("page=2&page_size=2".to_owned(), vec![first]),
    ];
    for (query, expected) in cases {
        let list = rig.get(&format!("/licenses?{query}")).await.expect(200);
        assert_eq!(ids(&list), expected, "{query}");
    }
    let walk = rig.get("/licenses?cursor=&page_size=2").await.expect(200);
    assert_eq!(ids(&walk), [third, second]);
    let next = walk["meta"]["next_cursor"].as_str().unwrap();
    let walk = rig.get(&format!("/licenses?cursor={next}")).await;
    assert_eq!(ids(&walk.expect(200)), [first]);
    for (query, field) in [("status=valid", "status"), ("customer_id=x", "customer_id")] {
        let refused = rig.get(&format!("/licenses?{query}")).await;
        let refused = refused.refused(422, "query_invalid");
        assert_eq!(refused["errors"][0]["field"], field);
    }
}

async fn bad_orders_for_licenses_are_refused_by_field(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let id = id_of(&customer);
    let cases = [
        (json!({"product": "A"}), "customer_id"),
        (json!({"customer_id": id}), "product"),
        (
            json!({"customer_id": "cust_1", "product": "A"}),
            "customer_id",
        ),
        (json!({"customer_id": id, "product": " "}), "product"),
        (json!({"customer_id": id, "product": "A", "key": ""}), "key"),
        (
            json!({"customer_id": id, "product": "A", "key": "a b"}),
            "key",
        ),
        (
            json!({"customer_id": id, "product": "A", "key": "x".repeat(256)}),
            "key",
        ),
        (
            json!({"customer_id": id, "product": "A", "expires_at": "soon"}),
            "expires_at",
        ),
        (
            json!({"customer_id": id, "product": "A", "expires_at": "2026-01-05T12:00:00.000Z"}),
            "expires_at",
        ),
        (
            json!({"customer_id": id, "product": "A", "metadata": [1]}),
            "metadata",
        ),
        (
            json!({"customer_id": id, "product": "A", "seats": 5}),
            "seats",
        ),
    ];
    for (body, field) in cases {
        let answer = rig.post("/licenses", body.clone()).await;
        let refused = answer.refused(422, "body_invalid");
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    let list = rig.get("/licenses").await.expect(200);
    assert_eq!(list["meta"]["total"], 0);
}

async fn a_viewer_may_validate_and_not_revoke(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = rig.customer(json!({"name": "Acme"})).await;
    let made = license(&rig, &customer, "K").await;
    let viewer = rig.admin("viewer", None).await;
    let body = json!({"key": "K"});
    let asked = rig.as_admin(&viewer, "POST", "/licenses/validate", Some(body));
    assert_eq!(asked.await.expect(200)["valid"], true);
    let revoke = format!("/licenses/{}/revoke", id_of(&made));
    let refused = rig.as_admin(&viewer, "POST", &revoke, None).await;
    refused.refused(403, "role_insufficient");
}

async fn the_dialect_of_apps_has_the_same_licenses_in_other_clothes(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"slug": "my-app", "name": "Mine"});
    rig.post("/apps", body).await.expect(201);
    let customers = "/apps/my-app/customers";
    let customer = rig.post(customers, json!({"email": "jane@x.com"})).await;
    let customer = customer.expect(201)["data"].clone();
    let licenses = "/apps/my-app/licenses";
    let body = json!({"customer_id": id_of(&customer), "product": "Tool", "key": "K"});
    let made = rig.post(licenses, body.clone()).await.expect(201)["data"].clone();
    assert_eq!(
        (&made["app"], &made["key"]),
        (&json!("my-app"), &json!("K"))
    );
    rig.post(licenses, body)
        .await
        .refused(409, "license_key_taken");
    let one = format!("{licenses}/{}", id_of(&made));
    assert_eq!(rig.get(&one).await.expect(200)["data"], made);
    let list = rig.get(&format!("{licenses}?page=1&per_page=20")).await;
    let expected = json!({"data": [made], "meta": {"total": 1, "page": 1, "per_page": 20}});
    assert_eq!(list.expect(200), expected);

    let viewer = rig.admin("viewer", Some("my-app")).await;
    let validate = format!("{licenses}/validate");
    let ask = async || {
        let body = json!({"key": "K"});
        let answer = rig.as_admin(&viewer, "POST", &validate, Some(body)).await;
        answer.expect(200)["data"]["code"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(ask().await, "ok");
    let body = json!({"reason": "refunded"});
    let revoked = rig.post(&format!("{one}/revoke"), body).await.expect(200);
    assert_eq!(revoked["data"]["changed"], true);
    assert_eq!(ask().await, "license_revoked");
    let back = rig.post(&format!("{one}/reinstate"), json!({})).await;
    assert_eq!(back.expect(200)["data"]["changed"], true);
    assert_eq!(ask().await, "ok");

    rig.get("/licenses/lic_1")
        .await
        .refused(404, "license_not_found");
    let elsewhere = rig.get("/licenses").await.expect(200);
    assert_eq!(elsewhere["meta"]["total"], 0, "of the app `default`");
    let refused = rig.as_admin(&viewer, "GET", "/apps/default/licenses", None);
    refused.await.refused(404, "app_not_found");
    let delete = format!("{customers}/{}", id_of(&customer));
    rig.delete(&delete).await.expect(204);
    assert_eq!(
        ask().await,
        "license_unknown",
        "licences go with their customer"
    );
}

on_both_stores! {
    a_license_is_made_shown_and_validated,
    a_key_from_elsewhere_is_kept_and_unique_in_its_app,
    a_made_key_is_read_as_people_type_it,
    keys_are_not_readable_at_rest,
    made_keys_differ,
    a_license_is_revoked_and_reinstated,
    a_license_is_valid_only_while_its_customer_may_have_it,
    a_license_ends_at_its_time,
    licenses_go_with_their_customer,
    a_merged_customers_licenses_count_for_the_one_that_is_shown,
    licenses_are_filtered_paged_and_walked,
    bad_orders_for_licenses_are_refused_by_field,
    a_viewer_may_validate_and_not_revoke,
    the_dialect_of_apps_has_the_same_licenses_in_other_clothes,
}
