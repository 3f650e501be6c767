//! One spelling of an address: two that nobody can tell apart, or that name one mailbox, are one.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::rig::{NOW, Rig, id_of, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

/// Spellings of one address each; the first is what its customer was given.
const SAME: [&[&str]; 3] = [
    &["josé@x.com", "jose\u{301}@x.com", "JOSE\u{301}@X.com"],
    &[
        "user@münchen.de",
        "user@xn--mnchen-3ya.de",
        "User@XN--Mnchen-3ya.DE",
        "user@mu\u{308}nchen.de",
    ],
    &["ada@xn--bcher-kva.example", "ada@bücher.example"],
];

const HIDDEN: [(&str, &str); 5] = [
    ("\u{200b}", "U+200B"),
    ("\u{feff}", "U+FEFF"),
    ("\u{202e}", "U+202E"),
    ("\u{3164}", "U+3164"),
    ("\u{115f}", "U+115F"),
];

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn every_spelling_of_an_address_finds_one_customer(engine: Engine) {
    let rig = Rig::start(engine).await;
    for spellings in SAME {
        let given = spellings[0];
        let made = rig.customer(json!({"email": given})).await;
        assert_eq!(made["email"], given, "it is shown as it was given");
        for spelling in spellings {
            let body = json!({"email": spelling});
            for (place, data) in [("", ""), ("/apps/default", "/data")] {
                let path = format!("{place}/customers/get-or-create");
                let got = rig.post(&path, body.clone()).await.expect(200);
                let got = got.pointer(data).unwrap();
                assert_eq!(got["id"], made["id"], "{path} {spelling:?}");
                assert_eq!(got["email"], given);
                for query in [
                    format!("email={}", encoded(spelling)),
                    format!("email={}", encoded(spelling.rsplit_once('@').unwrap().1)),
                    format!("q={}", encoded(spelling)),
                ] {
                    let path = format!("{place}/customers?{query}");
                    let listed = rig.get(&path).await.expect(200);
                    let mut ids = listed["data"].as_array().unwrap().iter();
                    assert!(ids.any(|it| it["id"] == made["id"]), "{path}: {listed}");
                }
                for dot in ["", "."] {
                    let path = format!(
                        "{place}/customers/by-email?email={}{dot}",
                        encoded(spelling)
                    );
                    let found = rig.get(&path).await.expect(200);
                    let found = found.pointer(data).unwrap();
                    assert_eq!(found["id"], made["id"], "{path}");
                }
            }
            rig.post("/customers", body.clone())
                .await
                .refused(409, "email_taken");
            let other = rig.customer(json!({"name": "Other"})).await;
            rig.put(&path_of(&other), body)
                .await
                .refused(409, "email_taken");
            // Its own in another spelling is a change of what is shown.
            let changed = json!({"email": spelling});
            let changed = rig.put(&path_of(&made), changed).await.expect(200);
            assert_eq!(changed["email"], *spelling);
            rig.put(&path_of(&made), json!({"email": given}))
                .await
                .expect(200);
        }
    }
}

async fn names_are_found_in_every_spelling(engine: Engine) {
    let rig = Rig::start(engine).await;
    let made = rig.customer(json!({"name": "Jose\u{301} ÉTÉ"})).await;
    assert_eq!(made["name"], "Jose\u{301} ÉTÉ");
    for text in ["josé", "JOSE\u{301}", "e\u{301}té", "jo\u{200b}sé"] {
        let path = format!("/customers?q={}", encoded(text));
        let listed = rig.get(&path).await.expect(200);
        assert_eq!(listed["data"][0]["id"], made["id"], "{text:?}: {listed}");
    }
    let path = format!("/customers?q={}", encoded("\u{200b}"));
    let listed = rig.get(&path).await.expect(200);
    assert_eq!(listed["meta"]["total"], 0, "nothing is no part of a name");
}

async fn invisible_characters_are_refused_in_each_field(engine: Engine) {
    let rig = Rig::start(engine).await;
    let known = rig.customer(json!({"email": "ada@x.com"})).await;
    for (hidden, named) in HIDDEN {
        let expected = format!("must not contain the invisible character {named}");
        let says = |answer: &Value, field: &str| {
            let errors = answer["errors"].as_array().unwrap();
            let error = errors.iter().find(|it| it["field"] == field);
            let error = error.unwrap_or_else(|| panic!("{field}: {answer}"));
            assert_eq!(error["message"], expected, "{field}");
        };
        for email in [format!("ad{hidden}a@x.com"), format!("ada@x{hidden}.com")] {
            for path in [
                "/customers",
                "/customers/get-or-create",
                "/apps/default/customers",
            ] {
                let answer = rig.post(path, json!({"email": email})).await;
                says(&answer.expect(422), "email");
            }
            let body = json!({"email": email});
            says(&rig.put(&path_of(&known), body).await.expect(422), "email");
        }
        let text = format!("a{hidden}b");
        for field in [
            "name",
            "phone",
            "external_id",
            "user_id",
            "tax_id",
            "billing_address_line1",
            "billing_address_city",
        ] {
            let mut body = json!({"email": "new@x.com"});
            body[field] = json!(text);
            says(&rig.post("/customers", body).await.expect(422), field);
        }
        let app = json!({"slug": "shop", "name": text});
        says(&rig.post("/apps", app).await.expect(422), "name");
        let license = json!({"customer_id": known["id"], "product": text});
        says(&rig.post("/licenses", license).await.expect(422), "product");
        let tokens = format!("{}/tokens", path_of(&known));
        let token = json!({"name": text});
        says(&rig.post(&tokens, token).await.expect(422), "name");
        let token = json!({"name": text, "role": "viewer"});
        says(&rig.post("/admin-tokens", token).await.expect(422), "name");
        let suspend = format!("{}/suspend", path_of(&known));
        let reason = json!({"reason": text});
        says(&rig.post(&suspend, reason).await.expect(422), "reason");
    }
    // Real names need some of them.
    for name in [
        "فاطمه\u{200c}زهرا",
        "श\u{94d}\u{200d}री",
        "👩\u{200d}🔬 Labs",
    ] {
        let made = rig.customer(json!({"name": name})).await;
        assert_eq!(made["name"], name);
    }
}

async fn two_accounts_with_two_spellings_are_one_customer(engine: Engine) {
    // Whatever comes first, and in one batch or in two.
    for (number, (one, other)) in [
        ("user@münchen.de", "User@xn--mnchen-3ya.de"),
        ("josé@x.com", "jose\u{301}@x.com"),
        ("ada@x.com", "a\u{200b}da@x.com"),
        ("ada\u{feff}@x.com.", "ADA@x.com"),
        ("ali@نامه\u{200c}ای.com", "ali@xn--mgba3gch31f060k.com"),
    ]
    .into_iter()
    .enumerate()
    {
        for in_one_batch in [true, false] {
            let rig = Rig::start(engine).await.joins().await;
            let event = |account: &str, email: &str, ago: i64| {
                let id = format!("evt_{account}");
                let contact = stripe_customer(account, email);
                stripe_event(&id, "customer.created", NOW - ago, contact)
            };
            let events = [event("cus_2", other, 90), event("cus_1", one, 100)];
            if in_one_batch {
                rig.happen(&events).await;
            } else {
                rig.happens(&events[0]).await;
                rig.happens(&events[1]).await;
            }
            let place = format!("pair {number}, one batch: {in_one_batch}");
            let mut ids = Vec::new();
            for account in ["cus_1", "cus_2"] {
                let path = format!("/customers/by-external/stripe_{account}");
                ids.push(id_of(&rig.get(&path).await.expect(200)));
            }
            assert_eq!(ids[0], ids[1], "{place}");
            let events = rig.get("/events?status=failed").await.expect(200);
            assert_eq!(events["meta"]["total"], 0, "{place}: {events}");
            let path = format!("/customers/by-email?email={}", encoded(other));
            let found = rig.get(&path).await.expect(200);
            assert_eq!(id_of(&found), ids[0], "{place}");
            // Shown as billing has it.
            assert_eq!(found["email"], one, "{place}");
        }
    }
}

async fn no_address_of_a_provider_fails_its_event(engine: Engine) {
    let rig = Rig::start(engine).await;
    let long = format!("a@{}.com", "ü".repeat(200));
    for (number, email) in [
        "\u{200b}",
        "a@xn--zz--.de",
        "a@\u{ff20}.com",
        "@",
        "a@.",
        "a@b..c",
        "a@\u{5d0}1\u{61}.com",
        long.as_str(),
    ]
    .into_iter()
    .enumerate()
    {
        let account = format!("cus_{number}");
        let contact = stripe_customer(&account, email);
        let id = format!("evt_{number}");
        rig.happens(&stripe_event(&id, "customer.created", NOW, contact))
            .await;
        let path = format!("/customers/by-external/{account}");
        let shown = rig.get(&path).await.expect(200);
        // One that shows nothing is none.
        let expected = Some(email).filter(|it| *it != "\u{200b}");
        assert_eq!(shown["email"], json!(expected));
        let event = rig.get(&format!("/events/{id}")).await.expect(200);
        assert_eq!(event["outcome"], "applied", "{email:?}: {event}");
    }
}

on_both_stores! {
    every_spelling_of_an_address_finds_one_customer,
    names_are_found_in_every_spelling,
    invisible_characters_are_refused_in_each_field,
    two_accounts_with_two_spellings_are_one_customer,
    no_address_of_a_provider_fails_its_event,
}
