//! The reference of a subscription system's customers: `/api/customers`, in camel case.

use serde_json::{Value, json};
use tollgate::provider::STRIPE;

use super::guide::Guide;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{seconds_from_now, stripe_customer, stripe_event};

const CREATE: &str = r#"curl -X POST /api/customers \
  -H "Content-Type: application/json" \
  -d '{
    "email": "customer@example.com",
    "name": "John Doe",
    "userId": "user_123",
    "billingAddressLine1": "123 Main St",
    "billingCity": "New York",
    "billingPostalCode": "10001",
    "billingCountry": "US"
  }'"#;

const UPDATE: &str = r#"curl -X POST /api/customers/cust_stable_123 \
  -H "Content-Type: application/json" \
  -d '{
    "email": "newemail@example.com",
    "name": "John Smith",
    "billingAddressLine1": "456 Oak Ave"
  }'"#;

const LIST: &str = r#"curl -X GET /api/customers \
  -H "Content-Type: application/json""#;

const SHOW: &str = r#"curl -X GET /api/customers/cust_stable_123 \
  -H "Content-Type: application/json""#;

const DELETE: &str = r#"curl -X DELETE /api/customers/cust_stable_123 \
  -H "Content-Type: application/json""#;

const DUPLICATE: &str = r#"curl -X POST /api/customers/cust_stable_123 \
  -H "Content-Type: application/json" \
  -d '{
    "email": "duplicate@example.com",
    "dangerouslyAllowSameEmailForDifferentCustomers": true
  }'"#;

/// The request and response of "Create Customer".
const FULL_BODY: &str = r#"{
  "email": "newcustomer@example.com",
  "name": "Jane Smith",
  "userId": "user_ext_456",
  "billingAddressLine1": "456 Oak Ave",
  "billingAddressLine2": "Suite 200",
  "billingCity": "San Francisco",
  "billingPostalCode": "94102",
  "billingCountry": "US",
  "taxId": "98-7654321"
}"#;

const FULL: &str = r#"{
  "customer": {
    "id": "cust_stable_456",
    "email": "newcustomer@example.com",
    "name": "Jane Smith",
    "userId": "user_ext_456",
    "billingAddressLine1": "456 Oak Ave",
    "billingAddressLine2": "Suite 200",
    "billingCity": "San Francisco",
    "billingPostalCode": "94102",
    "billingCountry": "US",
    "taxId": "98-7654321",
    "merchantId": "merchant_123",
    "createdAt": "2024-01-01T00:00:00Z",
    "updatedAt": "2024-01-01T00:00:00Z",
    "deletedAt": null
  }
}"#;

/// The request and response of "Update Customer".
const CHANGE_BODY: &str = r#"{
  "email": "updated@example.com",
  "name": "Updated Name",
  "userId": "user_ext_updated",
  "billingAddressLine1": "789 Pine St",
  "billingAddressLine2": "Floor 3",
  "billingCity": "Seattle",
  "billingPostalCode": "98101",
  "billingCountry": "US",
  "taxId": "11-2233445"
}"#;

const CHANGED: &str = r#"{
  "customer": {
    "id": "cust_stable_123",
    "email": "updated@example.com",
    "name": "Updated Name",
    "userId": "user_ext_updated",
    "billingAddressLine1": "789 Pine St",
    "billingAddressLine2": "Floor 3",
    "billingCity": "Seattle",
    "billingPostalCode": "98101",
    "billingCountry": "US",
    "taxId": "11-2233445",
    "merchantId": "merchant_123",
    "createdAt": "2024-01-01T00:00:00Z",
    "updatedAt": "2024-01-15T10:30:00Z",
    "deletedAt": null
  }
}"#;

const OWN: [&str; 3] = ["id", "createdAt", "updatedAt"];

const NOT_FOUND: &str = "Customer not found or access denied";

/// A merchant as the page's examples have it.
pub(super) async fn begun(engine: Engine) -> Guide {
    let mut guide = Guide::start(engine, "").await;
    let token = guide.app("merchant-123").await;
    guide.signed_in_as(&token);
    guide
}

/// With the customer of the page's commands.
async fn with_john(engine: Engine) -> (Guide, Value) {
    let mut guide = begun(engine).await;
    let made = guide.run(CREATE).await.is(201)["customer"].clone();
    guide.means("cust_stable_123", made["id"].as_str().unwrap());
    (guide, made)
}

fn documented(text: &str) -> String {
    text.replace("merchant_123", "merchant-123")
}

fn post(path: &str, body: &str) -> String {
    format!("curl -X POST {path} -H 'Content-Type: application/json' -d '{body}'")
}

async fn every_command_works_as_written(engine: Engine) {
    let (guide, made) = with_john(engine).await;
    assert!(made["id"].as_str().unwrap().starts_with("cust_"), "{made}");
    let expected = json!({
        "id": made["id"], "email": "customer@example.com", "name": "John Doe",
        "userId": "user_123", "billingAddressLine1": "123 Main St", "billingAddressLine2": null,
        "billingCity": "New York", "billingPostalCode": "10001", "billingCountry": "US",
        "taxId": null, "merchantId": "merchant-123", "createdAt": made["createdAt"],
        "updatedAt": made["createdAt"], "deletedAt": null,
    });
    assert_eq!(made, expected, "exactly the documented fields");
    assert_eq!(guide.run(SHOW).await.is(200), json!({"customer": expected}));
    assert_eq!(
        guide.run(LIST).await.is(200),
        json!({"customers": [expected]})
    );

    let updated = guide.run(UPDATE).await.is(200)["customer"].clone();
    assert_eq!(updated["email"], "newemail@example.com");
    assert_eq!(updated["name"], "John Smith");
    assert_eq!(updated["billingAddressLine1"], "456 Oak Ave");
    assert_eq!(updated["billingCity"], "New York", "was not given");
    assert_eq!(updated["userId"], "user_123", "was not given");
    assert_eq!(updated["id"], made["id"], "stays");

    let twin = FULL_BODY.replace("newcustomer@", "duplicate@");
    guide.run(&post("/api/customers", &twin)).await.is(201);
    let duplicate = guide.run(DUPLICATE).await.is(200);
    assert_eq!(duplicate["customer"]["email"], "duplicate@example.com");

    assert_eq!(guide.run(DELETE).await.is(200), json!({"success": true}));
    guide.run(SHOW).await.refuses(404, NOT_FOUND);
}

async fn requests_and_responses_are_those_of_the_reference(engine: Engine) {
    let mut guide = begun(engine).await;
    let made = guide.run(&post("/api/customers", FULL_BODY)).await;
    let made = made.shows(201, &documented(FULL), &OWN);
    guide.means("cust_stable_123", made["customer"]["id"].as_str().unwrap());
    guide.run(SHOW).await.shows(200, &documented(FULL), &OWN);
    let one: Value = serde_json::from_str(&documented(FULL)).unwrap();
    let list = json!({"customers": [one["customer"]]}).to_string();
    guide.run(LIST).await.shows(200, &list, &OWN);

    let change = post("/api/customers/cust_stable_123", CHANGE_BODY);
    let changed = guide
        .run(&change)
        .await
        .shows(200, &documented(CHANGED), &OWN);
    let (before, after) = (&made["customer"], &changed["customer"]);
    assert_eq!(after["id"], before["id"]);
    assert_eq!(after["createdAt"], before["createdAt"]);
    assert!(
        after["updatedAt"].as_str() > before["updatedAt"].as_str(),
        "{changed}"
    );
}

async fn all_customers_come_in_one_answer(engine: Engine) {
    let guide = begun(engine).await;
    assert_eq!(guide.run(LIST).await.is(200), json!({"customers": []}));
    // Full pages, one more than full ones, and less.
    for total in [99, 100, 101, 200, 201] {
        let known = guide.run(LIST).await.is(200);
        let known = known["customers"].as_array().unwrap().len();
        for n in known..total {
            let body = json!({"email": format!("c{n}@example.com")}).to_string();
            guide.run(&post("/api/customers", &body)).await.is(201);
        }
        let listed = guide.run(LIST).await.is(200);
        let rows = listed["customers"].as_array().unwrap();
        let emails: Vec<&str> = rows
            .iter()
            .map(|it| it["email"].as_str().unwrap())
            .collect();
        let expected: Vec<String> = (0..total)
            .rev()
            .map(|n| format!("c{n}@example.com"))
            .collect();
        assert_eq!(emails, expected, "newest first");
    }
}

async fn a_list_that_fails_midway_breaks_off(engine: Engine) {
    let guide = begun(engine).await;
    for n in 0..150 {
        let body = json!({"email": format!("c{n}@example.com")}).to_string();
        guide.run(&post("/api/customers", &body)).await.is(201);
    }
    let oldest = "UPDATE customers SET kept = '{}' WHERE id = (SELECT MIN(id) FROM customers)";
    guide.server.place.run(oldest, oldest).await;
    let url = format!("{}/api/customers", guide.server.base);
    let token = guide.token("viewer", Some("merchant-123")).await;
    let sent = guide.server.client.get(url).bearer_auth(token).send().await;
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => {
            // The connection broke before the head of the answer had left: no end either.
            assert!(error.is_request(), "{error:?}");
            return;
        }
    };
    assert_eq!(response.status(), 200, "the first page was good");
    let mut text = Vec::new();
    let end = loop {
        match response.chunk().await {
            Ok(Some(part)) => text.extend_from_slice(&part),
            end => break end,
        }
    };
    assert!(end.is_err(), "the transfer looks complete");
    assert!(!text.ends_with(b"]}"), "{}", String::from_utf8_lossy(&text));
}

async fn a_list_that_fails_at_once_is_a_failure(engine: Engine) {
    let (guide, _) = with_john(engine).await;
    let every = "UPDATE customers SET kept = '{}'";
    guide.server.place.run(every, every).await;
    guide
        .run(LIST)
        .await
        .refuses(500, "Failed to get customers");
}

async fn the_deleted_are_excluded_from_everything(engine: Engine) {
    let (guide, made) = with_john(engine).await;
    guide.run(DELETE).await.is(200);
    assert_eq!(guide.run(LIST).await.is(200), json!({"customers": []}));
    for command in [SHOW, UPDATE, DUPLICATE, DELETE] {
        guide.run(command).await.refuses(404, NOT_FOUND);
    }
    // The row is there still, with the time of its deletion.
    let token = guide.token("viewer", Some("merchant-123")).await;
    let path = "/api/v1/customers?include_deleted=true";
    let kept = guide.call_as(&token, "GET", path, None).await.is(200);
    assert_eq!(kept["data"][0]["id"], made["id"]);
    assert!(kept["data"][0]["deleted_at"].is_string(), "{kept}");
    // Nothing in this dialect restores: the address makes somebody new.
    let anew = guide.run(CREATE).await.is(201);
    assert_ne!(anew["customer"]["id"], made["id"]);
}

async fn the_names_of_the_deleted_are_free_and_their_webhooks_change_nothing(engine: Engine) {
    let guide = Guide::start(engine, "").await;
    let account = stripe_customer("cus_1", "one@example.com");
    let at = seconds_from_now(-60);
    let created = stripe_event("evt_1", "customer.created", at, account.clone());
    guide.server.deliver(STRIPE.name, &created).await;
    let listed = guide.call("GET", "/api/customers", None).await.is(200);
    assert_eq!(listed["customers"][0]["email"], "one@example.com");
    assert_eq!(listed["customers"][0]["merchantId"], "default");
    let path = format!(
        "/api/customers/{}",
        listed["customers"][0]["id"].as_str().unwrap()
    );
    guide.call("DELETE", &path, None).await.is(200);

    let updated = stripe_event("evt_2", "customer.updated", at + 10, account);
    let event = guide.server.deliver(STRIPE.name, &updated).await;
    assert_eq!(event["outcome"], "ignored", "{event}");
    assert_eq!(event["error"]["code"], "customer_deleted", "{event}");
    let listed = guide.call("GET", "/api/customers", None).await.is(200);
    assert_eq!(listed, json!({"customers": []}));

    let same = json!({"email": "ONE@example.com"});
    guide
        .call("POST", "/api/customers", Some(same))
        .await
        .is(201);
    let same = json!({"name": "One", "external_id": "stripe_cus_1"});
    guide
        .call("POST", "/api/v1/customers", Some(same))
        .await
        .is(201);
}

async fn merchants_are_isolated(engine: Engine) {
    let (guide, _) = with_john(engine).await;
    let stranger = guide.app("another").await;
    let mut other = guide;
    let own = {
        let made = other.run(&post("/api/customers", FULL_BODY)).await.is(201);
        format!(
            "/api/customers/{}",
            made["customer"]["id"].as_str().unwrap()
        )
    };
    other.signed_in_as(&stranger);
    assert_eq!(other.run(LIST).await.is(200), json!({"customers": []}));
    for command in [SHOW, UPDATE, DUPLICATE, DELETE] {
        other.run(command).await.refuses(404, NOT_FOUND);
    }
    other
        .call_as(&stranger, "GET", &own, None)
        .await
        .refuses(404, NOT_FOUND);
    // Addresses are unique within a merchant.
    let made = other.run(CREATE).await.is(201);
    assert_eq!(made["customer"]["merchantId"], "another");
}

on_both_stores! {
    every_command_works_as_written,
    requests_and_responses_are_those_of_the_reference,
    all_customers_come_in_one_answer,
    a_list_that_fails_midway_breaks_off,
    a_list_that_fails_at_once_is_a_failure,
    the_deleted_are_excluded_from_everything,
    the_names_of_the_deleted_are_free_and_their_webhooks_change_nothing,
    merchants_are_isolated,
}
