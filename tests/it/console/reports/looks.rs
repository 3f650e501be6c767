//! In a browser: buttons pressed twice, pages that going back shows again, and long words.

use serde_json::json;
use tollgate::provider::STRIPE;

use crate::console::driver::Browser;
use crate::console::visit::{buys, buys_at};
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer, seconds_from_now, stripe_event};

async fn sign_in(server: &TestServer) -> Browser {
    let link = server.server.sign_in_path(ADMIN_TOKEN).unwrap();
    let browser = Browser::start().await;
    browser.open(&format!("{}{link}", server.base)).await;
    browser.sees("Sign out").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_pressed_twice_acts_once() {
    let server = TestServer::start(Engine::Sqlite).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let browser = sign_in(&server).await;
    browser
        .open(&format!("{}/console/customers/{ann}", server.base))
        .await;
    browser.write("#token-name", "ci").await;
    // The second press comes before the answer to the first.
    let twice = "const form = document.querySelector('#token-name').form;
        const seen = [];
        document.addEventListener('submit', (event) => seen.push(event.defaultPrevented));
        const button = form.querySelector('button');
        button.click(); button.click(); return seen;";
    assert_eq!(browser.run(twice, json!([])).await, json!([false, true]));
    browser.sees("The new access token").await;
    let (_, made) = server.get(&format!("/api/v1/customers/{ann}/tokens")).await;
    assert_eq!(made["meta"]["total"], 1, "{made}");
    // Who goes back may make another one.
    browser.run("history.back()", json!([])).await;
    browser.sees("Name of a new token").await;
    browser.write("#token-name", "second").await;
    let button = "document.querySelector('#token-name').form.querySelector('button').click()";
    browser.run(button, json!([])).await;
    browser.sees("The new access token").await;
    let (_, made) = server.get(&format!("/api/v1/customers/{ann}/tokens")).await;
    assert_eq!(made["meta"]["total"], 2, "{made}");
    // What was signed out of is not shown by going back.
    browser
        .open(&format!("{}/console/customers/{ann}", server.base))
        .await;
    browser.press("Sign out").await;
    browser.sees("Admin token").await;
    browser.run("history.back()", json!([])).await;
    browser.sees("Admin token").await;
    assert!(!browser.text("body").await.contains("ann@example.com"));
    browser.close().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_words_stay_within_the_page() {
    let server = TestServer::start(Engine::Sqlite).await;
    let long = "w".repeat(250);
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let post = async |path: &str, body: serde_json::Value| {
        let (status, made) = server
            .call("POST", &format!("/api/v1{path}"), Some(body))
            .await;
        assert!(status < 300, "{path}: {made}");
        made
    };
    let named = json!({"name": long, "email": format!("{}@x.com", "e".repeat(200)),
        "external_id": "x".repeat(255), "metadata": {"long": long}});
    let other = post("/customers", named).await;
    let other = other["id"].as_str().unwrap();
    let package = format!("acme/{}", "p".repeat(200));
    let grant = json!({"package": package, "constraint": "*"});
    post(&format!("/customers/{other}/packages"), grant).await;
    post(&format!("/customers/{other}/tokens"), json!({"name": long})).await;
    post(
        &format!("/packages/{package}/releases"),
        json!({"version": "1.0.0"}),
    )
    .await;
    let license = json!({"customer_id": other, "product": long, "activations_limit": 1});
    let license = post("/licenses", license).await;
    let place = json!({"key": license["key"], "fingerprint": long, "name": long});
    post("/licenses/activate", place).await;
    let reason = json!({"reason": long});
    post(&format!("/customers/{other}/suspend"), reason).await;
    let url = format!("https://x.example/{}", "h".repeat(300));
    let hook = post(
        "/apps/default/hooks",
        json!({"url": url, "description": long}),
    )
    .await;
    post("/admin-tokens", json!({"name": long, "role": "viewer"})).await;
    let plan = json!({"name": long, "packages": [{"package": package}]});
    let path = format!("/api/v1/plans/stripe/price_{}", "q".repeat(200));
    assert_eq!(server.call("PUT", &path, Some(plan)).await.0, 201);
    let object = json!({"id": "s".repeat(200), "object": "subscription", "status": "active"});
    let kind = format!("customer.{}", "t".repeat(90));
    let event = format!("evt_{}", "i".repeat(90));
    let body = stripe_event(&event, &kind, seconds_from_now(0), object);
    server.deliver(STRIPE.name, &body).await;
    buys_at(
        &server,
        "cus_2",
        "b@x.com",
        &format!("price_{}", "u".repeat(200)),
    )
    .await;

    let browser = sign_in(&server).await;
    let license = license["id"].as_str().unwrap();
    let hook = hook["id"].as_str().unwrap();
    let mut wide = Vec::new();
    for (width, height) in [(1280, 860), (390, 844)] {
        browser.resize(width, height).await;
        for path in [
            "overview".to_owned(),
            "customers".to_owned(),
            format!("customers?q={long}"),
            format!("customers/{ann}"),
            format!("customers/{other}"),
            format!("customers/{other}/act/reactivate"),
            "events".to_owned(),
            format!("events/{event}"),
            format!("events/{event}/replay"),
            "flags".to_owned(),
            "policy".to_owned(),
            "plans".to_owned(),
            format!("packages?package={package}"),
            "endpoints".to_owned(),
            "hooks".to_owned(),
            format!("hooks/{hook}"),
            format!("licenses/{license}"),
            format!("licenses/{license}/act/revoke"),
            "audit".to_owned(),
            "admins".to_owned(),
        ] {
            browser
                .open(&format!("{}/console/{path}", server.base))
                .await;
            let over = "const page = document.documentElement;
                if (page.scrollWidth <= page.clientWidth) return null;
                const all = [...document.querySelectorAll('main *, header *')];
                const out = all.filter((it) => it.getBoundingClientRect().right > page.clientWidth + 1
                    && !it.closest('.scroll, pre, .menu'));
                return out.slice(0, 3).map((it) => it.outerHTML.slice(0, 160)).join(' | ') || 'wide';";
            let found = browser.run(over, json!([])).await;
            if let Some(found) = found.as_str() {
                let path = path.chars().take(60).collect::<String>();
                wide.push(format!("{width} {path}: {found}"));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
    browser.close().await;
    server.stop().await;
}
