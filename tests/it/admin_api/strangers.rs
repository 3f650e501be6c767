//! A stranger with properly signed events under a victim's address, in nine ways.

use serde_json::{Value, json};

use super::rig::{NOW, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const X: &str = "victim@example.com";

fn contact(account: &str, email: &str, ago: i64, event_type: &str) -> Value {
    let id = format!("evt_{account}_{ago}");
    stripe_event(&id, event_type, NOW - ago, stripe_customer(account, email))
}

fn subscription(account: &str, status: &str, ago: i64) -> Value {
    let id = format!("evt_sub_{account}_{ago}");
    let object = stripe_subscription(&format!("sub_{account}"), account, status);
    stripe_event(&id, "customer.subscription.updated", NOW - ago, object)
}

fn fails(account: &str) -> Vec<Value> {
    vec![
        contact(account, X, 60, "customer.created"),
        subscription(account, "past_due", 50),
        subscription(account, "canceled", 40),
    ]
}

fn disputes(account: &str) -> Vec<Value> {
    let charge = json!({"id": "ch_s", "object": "charge", "customer": account});
    let dispute = json!({"id": "dp_s", "object": "dispute", "charge": "ch_s", "status": "lost"});
    vec![
        contact(account, X, 60, "customer.created"),
        subscription(account, "active", 59),
        stripe_event("evt_ch_s", "charge.succeeded", NOW - 58, charge),
        stripe_event("evt_dp_s", "charge.dispute.closed", NOW - 50, dispute),
    ]
}

/// Only a Checkout session names the address.
fn only_a_session(account: &str) -> Vec<Value> {
    let session = json!({
        "id": "cs_s", "object": "checkout.session", "mode": "subscription", "customer": account,
        "subscription": format!("sub_{account}"), "customer_details": {"email": X},
    });
    vec![
        stripe_event("evt_cs_s", "checkout.session.completed", NOW - 60, session),
        subscription(account, "unpaid", 50),
    ]
}

/// The billing portal lets anybody set any address.
fn changes_to_it(account: &str) -> Vec<Value> {
    vec![
        contact(account, "stranger@example.com", 70, "customer.created"),
        contact(account, X, 60, "customer.updated"),
        subscription(account, "past_due", 50),
    ]
}

/// Only the update is seen, and it does not say what was there before.
fn update_without_before(account: &str) -> Vec<Value> {
    vec![
        contact(account, X, 60, "customer.updated"),
        subscription(account, "unpaid", 50),
    ]
}

fn in_test_mode(account: &str) -> Vec<Value> {
    let mut events = fails(account);
    for event in &mut events {
        event["livemode"] = json!(false);
    }
    events
}

struct Attack {
    name: &'static str,
    /// Before the victim is known, or after.
    first: bool,
    events: fn(&str) -> Vec<Value>,
    /// Under `join` the stranger is one with the victim, as README says.
    joins: bool,
}

const ATTACKS: [Attack; 8] = [
    Attack {
        name: "failing subscription",
        first: false,
        events: fails,
        joins: true,
    },
    Attack {
        name: "buys first, victim later",
        first: true,
        events: fails,
        joins: true,
    },
    Attack {
        name: "buys later",
        first: false,
        events: disputes,
        joins: true,
    },
    Attack {
        name: "disputes first",
        first: true,
        events: disputes,
        joins: true,
    },
    Attack {
        name: "only a session",
        first: false,
        events: only_a_session,
        joins: true,
    },
    Attack {
        name: "changes to it",
        first: false,
        events: changes_to_it,
        joins: false,
    },
    Attack {
        name: "no address before",
        first: false,
        events: update_without_before,
        joins: true,
    },
    Attack {
        name: "test mode",
        first: false,
        events: in_test_mode,
        joins: false,
    },
];

/// The victim pays by a subscription, or was made by an admin and has a grant by hand.
async fn victim(rig: &Rig, pays: bool, ago: i64) -> Value {
    if pays {
        rig.happen(&[
            contact("cus_victim", X, ago, "customer.created"),
            subscription("cus_victim", "active", ago - 1),
        ])
        .await;
        let path = "/customers/by-external/stripe_cus_victim";
        return rig.get(path).await.expect(200);
    }
    let made = rig.customer(json!({"name": "Victim", "email": X})).await;
    let grant = json!({"package": "acme/tool", "constraint": "*"});
    let path = format!("{}/packages", path_of(&made));
    rig.post(&path, grant).await.expect(201);
    made
}

async fn try_attack(engine: Engine, attack: &Attack, pays: bool, policy: &str) {
    let context = format!("{}, pays {pays}, {policy}", attack.name);
    let rig = Rig::start(engine).await;
    rig.restarts_with_plan(&["acme/tool"]).await;
    rig.put(
        "/policy",
        json!({"on_same_email": policy, "suspend_after": "0d"}),
    )
    .await
    .expect(200);
    let strangers = (attack.events)("cus_stranger");
    if attack.first {
        rig.happen(&strangers).await;
    }
    let victim = victim(&rig, pays, if attack.first { 30 } else { 90 }).await;
    let token = rig
        .post(
            &format!("{}/tokens", path_of(&victim)),
            json!({"name": "t"}),
        )
        .await
        .expect(201);
    if !attack.first {
        rig.happen(&strangers).await;
    }
    // An admin's row has no mode: until a live event comes, test events are what there is.
    let joins = attack.joins || attack.name == "test mode" && !pays;
    let joined = policy == "join" && joins && (pays || !attack.first);
    let stranger = rig.get("/customers/by-external/stripe_cus_stranger").await;
    // Once the endpoint is known to be live, nobody is a customer by test events.
    let stranger = if attack.name == "test mode" && pays {
        stranger.refused(404, "customer_not_found")
    } else {
        stranger.expect(200)
    };
    let shown = match rig.get(&path_of(&victim)).await {
        answer if answer.status == 404 => stranger.clone(),
        answer => answer.expect(200),
    };
    assert_eq!(stranger["id"] == shown["id"], joined, "{context}");
    if joined {
        return;
    }
    assert_eq!(shown["status"], "active", "{context}");
    assert_eq!(shown["holds"], json!([]), "{context}");
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let asked = rig.send(
        "GET",
        "/access?package=acme/tool&version=1.0.0",
        &headers,
        None,
    );
    assert_eq!(asked.await.status, 200, "{context}");
    // Nor does he get anything: nobody finds him by the address, once the victim is known.
    let found = rig.get(&format!("/customers/by-email?email={X}")).await;
    let by_first = attack.first && pays;
    let found = found.expect(200)["id"].clone();
    let holder = if by_first {
        &stranger["id"]
    } else {
        &shown["id"]
    };
    assert_eq!(found, *holder, "{context}");
}

async fn under_flag_nothing_of_the_victims_is_reached(engine: Engine) {
    for attack in &ATTACKS {
        for pays in [false, true] {
            try_attack(engine, attack, pays, "flag").await;
        }
    }
}

async fn under_join_it_is_as_the_readme_says(engine: Engine) {
    for attack in &ATTACKS {
        for pays in [false, true] {
            if attack.first && !pays {
                // The address is the stranger's by then, and an admin cannot give it away.
                continue;
            }
            try_attack(engine, attack, pays, "join").await;
        }
    }
}

/// An address that nobody has yet: whoever buys under it first holds it until an admin gives it to
/// somebody.
async fn an_address_that_nobody_has_yet(engine: Engine) {
    let rig = Rig::start(engine).await;
    rig.restarts_with_plan(&["acme/tool"]).await;
    rig.happen(&fails("cus_stranger")).await;
    let found = rig
        .get(&format!("/customers/by-email?email={X}"))
        .await
        .expect(200);
    let victim = rig.customer(json!({"name": "Victim", "email": X})).await;
    assert_ne!(found["id"], victim["id"]);
    let found = rig
        .get(&format!("/customers/by-email?email={X}"))
        .await
        .expect(200);
    assert_eq!(found["id"], victim["id"]);
    let stranger = rig
        .get("/customers/by-external/stripe_cus_stranger")
        .await
        .expect(200);
    assert_eq!(stranger["email"], Value::Null);
    assert_eq!(
        (&stranger["status"], &found["status"]),
        (&json!("frozen"), &json!("active"))
    );
}

on_both_stores!(
    under_flag_nothing_of_the_victims_is_reached,
    under_join_it_is_as_the_readme_says,
    an_address_that_nobody_has_yet,
);
