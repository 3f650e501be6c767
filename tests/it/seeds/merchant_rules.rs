//! What the reference of the subscription system says about addresses, ids and other input.

use serde_json::{Value, json};

use super::guide::{Answer, Guide};
use super::merchants::begun;
use crate::support::stores::{Engine, on_both_stores};

const NOT_FOUND: &str = "Customer not found or access denied";
const EMAIL_MISSING: &str = "Email is required";
const TAKEN: &str = "A customer with this email already exists";
const TAKEN_BY_ANOTHER: &str = "Another customer with this email already exists. Use \
                                dangerouslyAllowSameEmailForDifferentCustomers to allow.";

pub(super) const ALL: &str = "/api/customers";

async fn sent(guide: &Guide, token: &str, method: &str, path: &str, body: Value) -> Answer {
    guide.call_as(token, method, path, Some(body)).await
}

/// A merchant's token, and the path of a customer with the address `john@example.com`.
pub(super) async fn with_john(guide: &Guide) -> (String, String) {
    let token = guide.token("admin", Some("merchant-123")).await;
    let john = json!({"email": "john@example.com"});
    let made = sent(guide, &token, "POST", ALL, john).await.is(201);
    let path = format!("{ALL}/{}", made["customer"]["id"].as_str().unwrap());
    (token, path)
}

async fn an_email_is_required(engine: Engine) {
    let guide = begun(engine).await;
    let (token, john) = with_john(&guide).await;
    for body in [
        json!({}),
        json!({"name": "John"}),
        json!({"email": null}),
        json!({"email": ""}),
        json!({"email": "  "}),
    ] {
        let refused = sent(&guide, &token, "POST", ALL, body.clone()).await;
        refused.refuses(400, EMAIL_MISSING);
        if body.get("email").is_some() {
            let refused = sent(&guide, &token, "POST", &john, body).await;
            refused.refuses(400, EMAIL_MISSING);
        }
    }
    let shown = guide.call_as(&token, "GET", &john, None).await.is(200);
    assert_eq!(shown["customer"]["email"], "john@example.com");
}

async fn an_email_is_unique_whatever_its_case_unless_said_otherwise(engine: Engine) {
    let guide = begun(engine).await;
    let (token, john) = with_john(&guide).await;
    let allowed = |email: &str| json!({"email": email, "dangerouslyAllowSameEmailForDifferentCustomers": true});
    for email in ["john@example.com", "John@Example.COM"] {
        let refused = sent(&guide, &token, "POST", ALL, json!({"email": email})).await;
        refused.refuses(409, TAKEN);
    }
    let jane = json!({"email": "jane@example.com"});
    let jane = sent(&guide, &token, "POST", ALL, jane).await.is(201);
    let jane = format!("{ALL}/{}", jane["customer"]["id"].as_str().unwrap());
    let shouted = json!({"email": "JOHN@example.com"});
    let refused = sent(&guide, &token, "POST", &jane, shouted.clone()).await;
    refused.refuses(409, TAKEN_BY_ANOTHER);
    let denied = json!({"email": "JOHN@example.com",
        "dangerouslyAllowSameEmailForDifferentCustomers": false});
    let refused = sent(&guide, &token, "POST", &jane, denied).await;
    refused.refuses(409, TAKEN_BY_ANOTHER);

    let shared = sent(&guide, &token, "POST", &jane, allowed("JOHN@example.com")).await;
    assert_eq!(shared.is(200)["customer"]["email"], "JOHN@example.com");
    // The own address in another spelling is nobody else's business.
    let own = json!({"email": "John@example.com"});
    sent(&guide, &token, "POST", &john, own).await.is(200);
    sent(&guide, &token, "POST", ALL, allowed("john@example.com"))
        .await
        .is(201);
    sent(&guide, &token, "POST", ALL, shouted)
        .await
        .refuses(409, TAKEN);
}

async fn an_unknown_customer_is_not_found_whatever_the_id(engine: Engine) {
    let guide = begun(engine).await;
    let (token, john) = with_john(&guide).await;
    let digits = "0".repeat(32);
    for id in [
        format!("cust_{digits}"),
        format!("cus_{digits}"),
        digits.clone(),
        format!("cust_{}", "0".repeat(31)),
        format!("cust_{}", "A".repeat(32)),
        "cust_stable_123".to_owned(),
        "cust_".to_owned(),
        "%00".to_owned(),
        "..%2Fapps".to_owned(),
    ] {
        let path = format!("{ALL}/{id}");
        for (method, body) in [
            ("GET", None),
            ("POST", Some(json!({"name": "x"}))),
            ("DELETE", None),
        ] {
            let refused = guide.call_as(&token, method, &path, body).await;
            refused.refuses(404, NOT_FOUND);
        }
    }
    guide.call_as(&token, "GET", &john, None).await.is(200);
}

async fn invalid_data_is_named_with_details(engine: Engine) {
    let guide = begun(engine).await;
    let (token, john) = with_john(&guide).await;
    let long = "x".repeat(256);
    let table = [
        (
            "the form of an address",
            json!({"email": "nobody"}),
            vec!["email"],
        ),
        (
            "a long address",
            json!({"email": format!("{long}@x.com")}),
            vec!["email"],
        ),
        ("a wrong type", json!({"email": 1}), vec!["email"]),
        (
            "a field of another dialect",
            json!({"email": "a@x.com", "user_id": "u"}),
            vec!["user_id"],
        ),
        (
            "a misspelt field, and a value that is wrong",
            json!({"email": "nobody", "billingCitty": "u"}),
            vec!["billingCitty", "email"],
        ),
        (
            "several at once",
            json!({"email": "nobody", "name": " ", "userId": long, "billingAddressLine1": "a\u{7}",
                "billingAddressLine2": "\u{0}", "billingCity": "", "billingPostalCode": long,
                "billingCountry": "\n", "taxId": long}),
            vec![
                "name",
                "userId",
                "billingAddressLine1",
                "billingAddressLine2",
                "billingCity",
                "billingPostalCode",
                "billingCountry",
                "taxId",
                "email",
            ],
        ),
        (
            "a word for a truth value",
            json!({"email": "a@x.com", "dangerouslyAllowSameEmailForDifferentCustomers": "yes"}),
            vec!["dangerouslyAllowSameEmailForDifferentCustomers"],
        ),
    ];
    for path in [ALL, &john] {
        for (what, body, fields) in &table {
            let refused = sent(&guide, &token, "POST", path, body.clone()).await;
            assert_eq!(refused.content_type, "application/json", "{what}");
            let refused = refused.is(400);
            let details = refused["details"].as_array().unwrap();
            let mut named: Vec<&str> = details
                .iter()
                .map(|it| it["field"].as_str().unwrap())
                .collect();
            named.sort_unstable();
            let mut expected = fields.clone();
            expected.sort_unstable();
            assert_eq!(named, expected, "{what}: {refused}");
            let sentence = refused["error"].as_str().unwrap();
            for field in fields {
                assert!(sentence.contains(field), "{what}: {sentence}");
            }
        }
    }
    let shown = guide.call_as(&token, "GET", ALL, None).await.is(200);
    assert_eq!(shown["customers"].as_array().unwrap().len(), 1, "{shown}");
}

on_both_stores! {
    an_email_is_required,
    an_email_is_unique_whatever_its_case_unless_said_otherwise,
    an_unknown_customer_is_not_found_whatever_the_id,
    invalid_data_is_named_with_details,
}
