//! Customers' own pages.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tollgate::provider::STRIPE;
use tollgate::vault::{SealedFor, Vault};

use super::browser::violations;
use super::driver::Browser;
use super::visit::{Visit, buys};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    SECRET_KEY, TestServer, call, client, seconds_from_now, stripe_event, stripe_subscription,
};

on_both_stores! {
    a_customer_sees_its_access_and_rotates_its_token,
    a_page_is_shown_by_its_own_link_alone,
    a_form_that_is_sent_twice_rotates_once,
}

async fn link(server: &TestServer, id: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/v1/customers/{id}/portal-link");
    server.call("POST", &path, Some(body)).await
}

async fn path_of(server: &TestServer, id: &str) -> String {
    let (status, made) = link(server, id, json!({})).await;
    assert_eq!(status, 200, "{made}");
    made["path"].as_str().unwrap().to_owned()
}

async fn token(server: &TestServer, id: &str, name: &str) -> (String, String) {
    let path = format!("/api/v1/customers/{id}/tokens");
    let (_, made) = server
        .call("POST", &path, Some(json!({"name": name})))
        .await;
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

/// Whether a token is known at the access check.
async fn opens(server: &TestServer, token: &str) -> bool {
    let asked = format!("{}/access?package=acme/tool", server.base);
    let answer = client().get(asked).bearer_auth(token).send().await.unwrap();
    answer.status() != 401
}

async fn a_customer_sees_its_access_and_rotates_its_token(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let (token_id, before) = token(&server, &id, "<b>ci</b>").await;
    let body = json!({"customer_id": id, "product": "tool"});
    let (_, license) = server.call("POST", "/api/v1/licenses", Some(body)).await;
    let path = path_of(&server, &id).await;
    let customer = Visit::new(&server.base);

    let shown = customer.get(&path).await;
    for (name, value) in [
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex, nofollow"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(shown.headers[name], value);
    }
    let policy = shown.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"));
    let page = shown.page();
    assert!(page.contains("badge good\">active<"), "{page}");
    assert!(page.contains(license["key"].as_str().unwrap()), "{page}");
    assert!(page.contains("http-basic"), "{page}");
    assert!(
        page.contains("&#60;b&#62;ci") && !page.contains("<b>ci</b>"),
        "{page}"
    );
    assert!(
        !page.contains(&before) && !page.contains("sub_cus_1"),
        "{page}"
    );

    let rotate = format!("{path}/tokens/{token_id}/rotate");
    let foreign = customer
        .send(&rotate, &[], &[("sec-fetch-site", "cross-site")])
        .await;
    assert_eq!(foreign.status, 403, "{}", foreign.text);
    let issued = customer
        .send(&rotate, &[("at_once", "1")], &[])
        .await
        .page();
    let (_, rest) = issued.split_once("id=\"secret\">").unwrap();
    let after = rest.split('<').next().unwrap();
    assert!(opens(&server, after).await, "{after}");
    assert!(!opens(&server, &before).await, "it was to stop at once");
    let again = customer.send(&rotate, &[], &[]).await.page();
    assert!(again.contains("works for another 24 hours"), "{again}");
    assert!(opens(&server, after).await);

    let filter = format!("/api/v1/audit?customer_id={id}&actor=customer");
    let (_, audit) = server.get(&filter).await;
    assert_eq!(audit["meta"]["total"], 2, "{audit}");
    assert_eq!(audit["data"][0]["operation"], "token_rotate", "{audit}");
    let (_, made) = server.get("/api/v1/audit?operation=portal_link").await;
    assert_eq!(made["meta"]["total"], 1, "{made}");

    let act = format!("/api/v1/customers/{id}/suspend");
    let reason = json!({"reason": "he is a crook"});
    server.call("POST", &act, Some(reason)).await;
    let held = customer.page(&path).await;
    assert!(held.contains("Your subscription is suspended:"), "{held}");
    assert!(!held.contains("crook"), "{held}");
    server.stop_and_give_back().await;
}

/// A link that ends at an instant, made with the server's own key.
/// Pages of customers have no script, so the button can be pressed twice. A second rotation would end the
/// text that the customer's machines have.
async fn a_form_that_is_sent_twice_rotates_once(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let (id, text) = token(&server, &ann, "ci").await;
    let path = path_of(&server, &ann).await;
    let visit = Visit::new(&server.base);
    let page = visit.page(&path).await;
    let (_, key) = page
        .split_once("name=\"idempotency_key\" value=\"")
        .unwrap();
    let key = key.split('"').next().unwrap();
    let rotate = format!("{path}/tokens/{id}/rotate");
    let fields = [("idempotency_key", key)];
    let press = || visit.send(&rotate, &fields, &[]);
    let (one, two) = tokio::join!(press(), press());
    let (one, two) = (one.page(), two.page());
    assert_eq!(one, two);
    assert!(
        opens(&server, &text).await,
        "the text before works for a day"
    );
    let (_, audit) = server.get("/api/v1/audit?operation=token_rotate").await;
    assert_eq!(audit["meta"]["total"], 1, "{audit}");
    // The next page's form is another one, and so is one with another link.
    let other = path_of(&server, &ann).await;
    let elsewhere = format!("{other}/tokens/{id}/rotate");
    let third = visit.send(&elsewhere, &fields, &[]);
    assert_ne!(third.await.page(), one);
    // A link that is over repeats nothing.
    let wrong = format!("{path}x/tokens/{id}/rotate");
    let refused = visit.send(&wrong, &fields, &[]).await;
    assert_eq!(refused.status, 404, "{}", refused.text);
    server.stop_and_give_back().await;
}

fn link_until(id: &str, seconds: i64) -> String {
    let key = STANDARD.decode(SECRET_KEY).unwrap();
    let vault = Vault::new(&key.try_into().unwrap());
    let text = format!("default {id} {}", seconds_from_now(seconds) * 1_000_000_000);
    let sealed = vault.seal(SealedFor::PortalLink, &text).unwrap();
    format!("/portal/{}", URL_SAFE_NO_PAD.encode(sealed))
}

async fn a_page_is_shown_by_its_own_link_alone(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let other = buys(&server, "cus_2", "bob@example.com").await;
    let (others_token, _) = token(&server, &other, "ci").await;
    let visit = Visit::new(&server.base);
    let path = path_of(&server, &id).await;

    // Somebody else's token is not this link's to rotate.
    let rotate = format!("{path}/tokens/{others_token}/rotate");
    assert_eq!(visit.send(&rotate, &[], &[]).await.status, 404);
    for wrong in ["/portal/x", "/portal", "/portal/", &path[..path.len() - 2]] {
        assert_eq!(visit.get(wrong).await.status, 404, "{wrong}");
    }
    assert_eq!(visit.get(&link_until(&id, 60)).await.status, 200);
    let ended = visit.get(&link_until(&id, -1)).await;
    assert_eq!(ended.status, 410);
    assert!(
        ended.text.contains("This link has run out"),
        "{}",
        ended.text
    );

    for (expires_in, status) in [(59, 422), (60, 200), (86_400, 200), (86_401, 422)] {
        let (found, answer) = link(&server, &id, json!({"expires_in": expires_in})).await;
        assert_eq!(found, status, "{expires_in}: {answer}");
    }
    let viewer = json!({"name": "v", "role": "viewer"});
    let (_, viewer) = server
        .call("POST", "/api/v1/admin-tokens", Some(viewer))
        .await;
    let asked = format!("{}/api/v1/customers/{id}/portal-link", server.base);
    let asked = client()
        .post(asked)
        .bearer_auth(viewer["token"].as_str().unwrap());
    assert_eq!(asked.send().await.unwrap().status(), 403);

    let gone = format!("/api/v1/customers/{id}");
    assert_eq!(server.call("DELETE", &gone, None).await.0, 204);
    assert_eq!(visit.get(&path).await.status, 404);
    server.stop_and_give_back().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_reach_their_page_where_the_api_is_not_where_operators_are() {
    let server = TestServer::start_with(Engine::Sqlite, |environment| {
        environment.insert("TOLLGATE_OPS_LISTEN".into(), "127.0.0.1:0".into());
        environment.insert("TOLLGATE_CONSOLE".into(), "off".into());
    })
    .await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let path = path_of(&server, &id).await;
    let page = Visit::new(&server.base).page(&path).await;
    let (_, style) = page.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let style = style.split('"').next().unwrap();
    assert!(Visit::new(&server.base).page(style).await.contains(".card"));
    let ops = format!("http://{}", server.server.ops_address().unwrap());
    assert_eq!(call(&client(), &ops, "GET", &path, None).await.0, 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_rotates_a_token_in_a_browser() {
    let server = TestServer::start(Engine::Sqlite).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let (_, before) = token(&server, &id, "build server").await;
    let mut incomplete = stripe_subscription("sub_3", "cus_3", "incomplete");
    incomplete["items"]["data"][0]["price"]["id"] = "price_basic".into();
    let began = "customer.subscription.created";
    let began = stripe_event("evt_3", began, seconds_from_now(0), incomplete);
    let event = server.deliver(STRIPE.name, &began).await;
    let unpaid = path_of(&server, event["customer_id"].as_str().unwrap()).await;
    let path = path_of(&server, &id).await;
    let browser = Browser::start().await;
    let mut wrong = Vec::new();
    for (scheme, width) in [("light", 1280), ("dark", 390)] {
        browser.prefer(scheme).await;
        browser.resize(width, 844).await;
        browser.open(&format!("{}{path}", server.base)).await;
        browser.sees("What you bought can be installed.").await;
        wrong.extend(violations(&browser, scheme).await);
        let wide = "return document.documentElement.scrollWidth > window.innerWidth";
        assert_eq!(
            browser.run(wide, json!([])).await,
            false,
            "{scheme} scrolls sideways"
        );
        browser.press("Rotate").await;
        browser.sees("is shown only now").await;
        wrong.extend(violations(&browser, &format!("issued, {scheme}")).await);
        if let Some(folder) = std::env::var_os("PICTURES") {
            let folder = std::path::PathBuf::from(folder);
            browser.open(&format!("{}{path}", server.base)).await;
            let picture = STANDARD.decode(browser.picture().await).unwrap();
            std::fs::write(folder.join(format!("portal-{scheme}.png")), picture).unwrap();
        }
    }
    browser.open(&format!("{}{unpaid}", server.base)).await;
    browser.sees("Your order is not paid yet.").await;
    browser
        .open(&format!("{}{}", server.base, link_until(&id, -5)))
        .await;
    browser.sees("This link has run out").await;
    wrong.extend(violations(&browser, "run out").await);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!opens(&server, &before).await, "it was rotated twice");
    let mut complaints = browser.complaints().await;
    // That a link has run out is not only said on the page.
    complaints.retain(|it| !it.contains("410 (Gone)"));
    assert_eq!(complaints, Vec::<String>::new());
    browser.close().await;
    server.stop().await;
}
