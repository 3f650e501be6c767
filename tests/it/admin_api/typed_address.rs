//! Addresses that buyers typed: nothing proves that they are theirs, so beside an external id they
//! identify nobody.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, id_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

const ADA: &str = "ada@example.com";

/// A stranger buys something and types Ada's address.
async fn typed(rig: &Rig) -> Value {
    let customer = stripe_customer("cus_stranger", ADA);
    rig.happens(&stripe_event(
        "evt_1",
        "customer.created",
        NOW - 100,
        customer,
    ))
    .await;
    let path = "/customers/by-external/cus_stranger";
    rig.get(path).await.expect(200)
}

async fn an_id_is_not_attached_to_whoever_typed_the_address(engine: Engine) {
    for (place, envelope) in [("", ""), ("/apps/default", "/data")] {
        let rig = Rig::start(engine).await;
        let stranger = typed(&rig).await;
        let ask = async |body: Value, status: u16| {
            let path = format!("{place}/customers/get-or-create");
            let got = rig.post(&path, body).await.expect(status);
            got.pointer(envelope).unwrap().clone()
        };
        let wanted = json!({"email": ADA, "external_id": "user_ada"});
        let ada = ask(wanted.clone(), 201).await;
        assert_ne!(id_of(&ada), id_of(&stranger));
        assert_eq!(ada["external_id"], "user_ada");
        let again = ask(wanted, 200).await;
        assert_eq!(id_of(&again), id_of(&ada));
        let path = "/customers/by-external/cus_stranger";
        let stranger = rig.get(path).await.expect(200);
        assert_ne!(stranger["external_id"], "user_ada");
        // Somebody looks at it, and links the two if they are one.
        let flags = rig.get("/flags?kind=same_email").await.expect(200);
        assert_eq!(flags["data"].as_array().unwrap().len(), 2, "{flags}");
        // An address that an admin gave is known.
        let second = ask(json!({"email": ADA}), 200).await;
        assert_eq!(id_of(&second), id_of(&ada));
    }
}

async fn where_typed_addresses_are_trusted_they_identify(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.put("/policy", json!({"on_same_email": "join"}))
        .await
        .expect(200);
    let buyer = typed(&rig).await;
    let wanted = json!({"email": ADA, "external_id": "user_ada"});
    let got = rig
        .post("/customers/get-or-create", wanted)
        .await
        .expect(200);
    assert_eq!(id_of(&got), id_of(&buyer));
    assert_eq!(got["external_id"], "user_ada");
}

async fn the_external_id_of_somebody_known_is_enough(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig
        .customer(json!({"name": "Ada", "external_id": "user_ada"}))
        .await;
    let path = "/customers/get-or-create";
    let known = json!({"external_id": "user_ada"});
    let got = rig.post(path, known).await.expect(200);
    assert_eq!(id_of(&got), id_of(&made));
    let unknown = json!({"external_id": "user_bob"});
    rig.post(path, unknown).await.refused(422, "body_invalid");
    rig.post(path, json!({})).await.refused(422, "body_invalid");
}

async fn a_token_of_somebody_softly_deleted_opens_nothing(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"name": "Ada"})).await;
    let path = format!("/customers/{}", id_of(&made));
    let grant = json!({"package": "acme/tool", "constraint": "*"});
    rig.post(&format!("{path}/packages"), grant)
        .await
        .expect(201);
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let ask = async |path: &str| {
        let answer = rig.send("GET", path, &headers, None).await;
        (answer.status, answer.body["code"].clone())
    };
    let paths = ["/access?package=acme/tool", "/access/packages"];
    assert_eq!(ask(paths[0]).await, (200, json!("ok")));
    rig.delete(&format!("{path}?soft=true")).await.expect(204);
    for path in paths {
        assert_eq!(ask(path).await, (401, json!("token_unknown")), "{path}");
    }
}

on_both_stores! {
    an_id_is_not_attached_to_whoever_typed_the_address,
    where_typed_addresses_are_trusted_they_identify,
    the_external_id_of_somebody_known_is_enough,
    a_token_of_somebody_softly_deleted_opens_nothing,
}
