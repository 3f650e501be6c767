//! The page of a customer, and acts.

use std::time::{Duration, Instant};

use super::visit::{Visit, buys};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{
    TestServer, seconds_from_now, stripe_customer, stripe_event, stripe_subscription,
};
use serde_json::json;
use tollgate::provider::STRIPE;

on_both_stores! {
    anything_at_hand_finds_the_customer,
    an_act_shows_its_effect_first_and_is_audited_and_undone,
    packages_accounts_and_tokens_are_seen_to_by_hand,
    who_only_began_to_buy_is_not_paid_yet,
    who_was_joined_or_is_gone_leads_nobody_astray,
    what_composer_would_get_comes_with_its_reasons,
    a_line_of_the_timeline_says_what_it_changed,
    a_secret_that_is_searched_for_stands_in_no_address,
}

async fn anything_at_hand_finds_the_customer(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "Ann@Example.com").await;
    buys(&server, "cus_2", "bob@example.com").await;
    let body = json!({"name": "ci"});
    let path = format!("/api/v1/customers/{id}/tokens");
    let (_, token) = server.call("POST", &path, Some(body)).await;
    let body = json!({"customer_id": id, "product": "tool"});
    let (_, license) = server.call("POST", "/api/v1/licenses", Some(body)).await;
    let owner = Visit::owner(&server).await;
    let page = format!("/console/customers/{id}");
    for text in [
        id.as_str(),
        "ann@example.com",
        "cus_1",
        "stripe_cus_1",
        "sub_cus_1",
        token["token"].as_str().unwrap(),
        license["key"].as_str().unwrap(),
    ] {
        let query = super::visit::written(&[("q", text)]);
        let found = owner.get(&format!("/console/customers?{query}")).await;
        assert_eq!(found.location(), page, "{text}: {}", found.text);
        let sent = owner.post("/console/search", &[("q", text)]).await;
        // Whom an object belongs to, the list tells.
        let target = match text {
            "sub_cus_1" => "/console/customers?q=sub_cus_1",
            _ => &page,
        };
        assert_eq!(sent.location(), target, "{text}: {}", sent.text);
    }
    let event = owner.get("/console/customers?q=evt_began_cus_1").await;
    assert_eq!(event.location(), "/console/events/evt_began_cus_1");
    let part = owner.page("/console/customers?q=example.com").await;
    assert!(part.contains("Ann@Example.com") && part.contains("bob@example.com"));
    let nothing = owner.page("/console/customers?q=nobody-at-all").await;
    assert!(nothing.contains("Nobody has a name"), "{nothing}");
    server.stop_and_give_back().await;
}

/// Browsers and proxies keep addresses.
async fn a_secret_that_is_searched_for_stands_in_no_address(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let body = json!({"name": "ci"});
    let tokens = format!("/api/v1/customers/{id}/tokens");
    let (_, token) = server.call("POST", &tokens, Some(body)).await;
    let viewer = Visit::with_role(&server, "viewer").await;
    let form = viewer.page("/console/customers").await;
    assert!(
        form.contains("action=\"/console/search\" method=\"post\""),
        "{form}"
    );
    let search = async |text: &str| viewer.post("/console/search", &[("q", text)]).await;
    let text = token["token"].as_str().unwrap();
    assert_eq!(
        search(text).await.location(),
        format!("/console/customers/{id}")
    );
    // Copied in part, or of nobody.
    for unknown in [&text[..text.len() - 1], "0ABCD-EFGH1-23456-789JK-MNPQR"] {
        let refused = search(unknown).await;
        assert_eq!(refused.status, 404, "{}", refused.text);
        let said = "obody has this token or licence key";
        assert!(refused.text.contains(said), "{}", refused.text);
        assert!(!refused.text.contains(unknown), "{}", refused.text);
    }
    // What is no secret has an address, which can be sent to somebody.
    let list = search("example.com & more").await;
    let query = "/console/customers?q=example%2Ecom%20%26%20more";
    assert_eq!(list.location(), query);
    assert_eq!(search("  ").await.location(), "/console/customers");
    server.stop_and_give_back().await;
}

async fn an_act_shows_its_effect_first_and_is_audited_and_undone(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let page = format!("/console/customers/{id}");
    let shown = owner.page(&page).await;
    assert!(shown.contains("badge good\">active<"), "{shown}");
    assert!(shown.contains("customer.subscription.created"), "{shown}");
    let composer = format!("{page}?package=acme/tool&version=1.0.0");
    assert!(
        owner
            .page(&composer)
            .await
            .contains("badge good\">allowed<")
    );

    let suspend = format!("{page}/act/suspend");
    let effect = owner.page(&suspend).await;
    assert!(effect.contains("badge warn\">suspended<"), "{effect}");
    assert!(effect.contains("acme/tool ^1.0"), "{effect}");
    // Looking changed nothing.
    let (_, customer) = server.get(&format!("/api/v1/customers/{id}")).await;
    assert_eq!(customer["status"], "active");

    let done = owner
        .post(&suspend, &[("reason", "asked <b>by</b> mail")])
        .await;
    assert_eq!(done.location(), format!("{page}?done=suspend&undo=1"));
    let after = owner.page(done.location()).await;
    assert!(after.contains("badge warn\">suspended<"), "{after}");
    assert!(
        after.contains("asked &#60;b&#62;by&#60;/b&#62; mail"),
        "{after}"
    );
    assert!(after.contains(">Undo…<"), "{after}");
    let refused = owner.page(&composer).await;
    assert!(
        refused.contains("Your subscription is suspended"),
        "{refused}"
    );
    let (_, audit) = server
        .get(&format!("/api/v1/audit?customer_id={id}&operation=suspend"))
        .await;
    assert_eq!(audit["data"][0]["actor"], "admin:root", "{audit}");
    // A second time changes nothing, and says so.
    let again = owner
        .post(&suspend, &[("reason", "asked <b>by</b> mail")])
        .await;
    assert!(
        again.location().contains("done=unchanged"),
        "{}",
        again.location()
    );

    let undone = owner.post(&format!("{page}/act/reactivate"), &[]).await;
    assert_eq!(undone.status, 303, "{}", undone.text);
    assert!(
        owner
            .page(&composer)
            .await
            .contains("badge good\">allowed<")
    );
    let acts = owner.page(&format!("{page}?kind=act")).await;
    assert!(
        acts.contains("by ADMIN_TOKEN") && acts.contains("Active again"),
        "{acts}"
    );
    assert!(!acts.contains("customer.subscription.created<"), "{acts}");
    assert_eq!(owner.get(&format!("{page}/act/vanish")).await.status, 404);
    let wrong = owner
        .post(&format!("{page}/act/freeze"), &[("at", "soon")])
        .await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    server.stop_and_give_back().await;
}

async fn packages_accounts_and_tokens_are_seen_to_by_hand(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let page = format!("/console/customers/{id}");
    let asked = format!("{page}/grant?package=acme/extra&constraint=%5E2.0&expires_at=2199-01-01");
    let effect = owner.page(&asked).await;
    assert!(effect.contains("acme/extra ^2.0"), "{effect}");
    assert!(!owner.page(&page).await.contains("acme/extra"));
    let fields = [
        ("package", "acme/extra"),
        ("constraint", "^2.0"),
        ("expires_at", "2199-01-01"),
    ];
    let given = owner.post(&format!("{page}/grant"), &fields).await;
    let undo = format!("{page}?done=grant&undo=revoke&with=package%3Dacme%252Fextra");
    assert_eq!(given.location(), undo, "{}", given.text);
    let shown = owner.page(&page).await;
    assert!(
        shown.contains("acme/extra ^2.0") && shown.contains("2199-01-01"),
        "{shown}"
    );
    let revoked = owner
        .post(&format!("{page}/revoke"), &[("package", "acme/extra")])
        .await;
    let undo = format!("{page}?done=revoke&undo=grant&with=package%3Dacme%252Fextra%26constraint");
    assert!(
        revoked.location().starts_with(&undo),
        "{}",
        revoked.location()
    );

    buys(&server, "cus_9", "nine@example.com").await;
    let effect = owner.page(&format!("{page}/link?account=cus_9")).await;
    assert!(effect.contains("Nothing that is shown changes"), "{effect}");
    let linked = owner
        .post(&format!("{page}/link"), &[("account", "cus_9")])
        .await;
    let undo = format!("{page}?done=link&undo=part&with=account%3Dcus_9");
    assert_eq!(linked.location(), undo, "{}", linked.text);
    assert!(owner.page(&page).await.contains("linked by an admin"));

    let made = owner
        .post(&format!("{page}/tokens"), &[("name", "build")])
        .await
        .page();
    let (_, rest) = made.split_once("id=\"secret\">").unwrap();
    let text = rest.split('<').next().unwrap();
    let asked = server
        .client
        .get(format!(
            "{}/access?package=acme/tool&version=1.0.0",
            server.base
        ))
        .bearer_auth(text);
    assert_eq!(asked.send().await.unwrap().status(), 200);
    let (_, tokens) = server.get(&format!("/api/v1/customers/{id}/tokens")).await;
    let token = tokens["data"][0]["id"].as_str().unwrap();
    let rotated = owner
        .post(&format!("{page}/tokens/{token}/rotate"), &[])
        .await;
    assert!(rotated.page().contains("still works for 24 hours"));
    assert!(
        owner
            .page(&page)
            .await
            .contains("the text before still works until")
    );
    let revoked = owner
        .post(&format!("{page}/tokens/{token}/revoke"), &[])
        .await;
    assert_eq!(revoked.location(), format!("{page}?done=token"));
    server.stop_and_give_back().await;
}

async fn who_only_began_to_buy_is_not_paid_yet(engine: Engine) {
    let server = TestServer::start(engine).await;
    let subscription = stripe_subscription("sub_1", "cus_1", "incomplete");
    let created = "customer.subscription.created";
    let event = stripe_event("evt_1", created, seconds_from_now(0), subscription);
    let event = server.deliver(STRIPE.name, &event).await;
    let id = event["customer_id"].as_str().unwrap();
    let owner = Visit::owner(&server).await;
    let page = owner.page(&format!("/console/customers/{id}")).await;
    assert!(page.contains("badge warn\">not paid yet<"), "{page}");
    server.stop_and_give_back().await;
}

async fn who_was_joined_or_is_gone_leads_nobody_astray(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let bob = buys(&server, "cus_2", "bob@example.com").await;
    let owner = Visit::owner(&server).await;
    let (ann, bob) = (
        format!("/console/customers/{ann}"),
        format!("/console/customers/{bob}"),
    );
    let account = [("account", "cus_2")];
    let linked = owner.post(&format!("{ann}/link"), &account).await;
    assert_eq!(linked.status, 303, "{}", linked.text);
    // Events and the audit still name the other one.
    let event = owner.page("/console/events/evt_began_cus_2").await;
    assert!(event.contains(&bob), "{event}");
    let joined = owner.get(&bob).await;
    assert_eq!((joined.status, joined.location()), (303, ann.as_str()));

    let api = ann.replace("/console", "/api/v1");
    let soft = format!("{api}?soft=true");
    assert_eq!(server.call("DELETE", &soft, None).await.0, 204);
    let page = owner.page(&ann).await;
    assert!(page.contains("badge bad\">deleted<"), "{page}");
    assert!(!page.contains("badge good\">active<"), "{page}");
    assert_eq!(
        owner.get("/console/customers?q=sub_cus_1").await.location(),
        ann
    );
    assert_eq!(server.call("DELETE", &api, None).await.0, 204);
    assert_eq!(owner.get(&ann).await.status, 404);
    // What is left of the events is shown, and no page that there is not.
    let left = owner.page("/console/customers?q=sub_cus_1").await;
    assert!(left.contains("evt_began_cus_1"), "{left}");
    server.stop_and_give_back().await;
}

async fn what_composer_would_get_comes_with_its_reasons(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    for (version, at) in [("1.0.0", "2020-01-01"), ("1.1.0", "2190-01-01")] {
        let body = json!({"version": version, "released_at": format!("{at}T00:00:00Z")});
        let path = "/api/v1/packages/acme/tool/releases";
        assert_eq!(server.call("POST", path, Some(body)).await.0, 201);
    }
    let message = json!({"held_message": {"text": "call us.", "url": "https://acme.example/x"}});
    let (status, app) = server
        .call("PATCH", "/api/v1/apps/default", Some(message))
        .await;
    assert_eq!(status, 200, "{app}");
    let owner = Visit::owner(&server).await;
    let page = format!("/console/customers/{id}");
    let told = async |query: &str| {
        let page = owner.page(&format!("{page}?{query}")).await;
        let (_, rest) = page.split_once("class=\"answer\">").unwrap();
        rest.split_once("</ul>").unwrap().0.to_owned()
    };
    let ask = async |query: &str, expected: &[&str]| {
        let said = told(query).await;
        for part in expected {
            assert!(said.contains(part), "{query}: {part} in {said}");
        }
    };
    ask(
        "package=ACME/Tool&version=v1.0",
        &[
            ">allowed<",
            "Composer gets acme/tool (v1.0).",
            "acme/tool ^1.0 from price_basic",
            "1.0.0 was released 2020-01-01",
        ],
    )
    .await;
    ask(
        "package=acme/tool&version=2.0.0",
        &[
            ">refused<",
            "version_not_allowed",
            "no release that is known",
        ],
    )
    .await;
    ask(
        "package=acme/tool&version=dev-main",
        &[">refused<", "version_not_allowed"],
    )
    .await;
    ask(
        "package=acme/tool&version=%5E1.0",
        &[">refused<", "“^1.0” is no version"],
    )
    .await;
    ask(
        "package=acme/none&version=1.0",
        &[
            "package_not_granted",
            "nothing that this customer has gives acme/none",
        ],
    )
    .await;
    let freeze = format!("{page}/act/freeze");
    let frozen = owner.post(&freeze, &[("at", "2030-01-01")]).await;
    assert_eq!(frozen.status, 303, "{}", frozen.text);
    ask(
        "package=acme/tool&version=1.1.0",
        &[
            "version_not_frozen",
            "1.1.0 was released 2190-01-01",
            "released by 2030-01-01",
        ],
    )
    .await;
    owner.post(&format!("{page}/act/suspend"), &[]).await;
    // As the app tells its customers, and not in our words.
    ask(
        "package=acme/tool&version=1.0.0",
        &["customer_suspended", "call us. https://acme.example/x"],
    )
    .await;
    server.stop_and_give_back().await;
}

async fn a_line_of_the_timeline_says_what_it_changed(engine: Engine) {
    let server = TestServer::start(engine).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let now = seconds_from_now(1);
    let mut customer = stripe_customer("cus_1", "other@example.com");
    customer["name"] = "A \u{202e}B".into();
    let event = stripe_event("evt_moved", "customer.updated", now, customer);
    server.deliver(STRIPE.name, &event).await;
    let mut subscription = stripe_subscription("sub_cus_1", "cus_1", "past_due");
    subscription["items"]["data"][0]["quantity"] = 3.into();
    let updated = "customer.subscription.updated";
    let event = stripe_event("evt_late", updated, now, subscription);
    server.deliver(STRIPE.name, &event).await;
    let owner = Visit::owner(&server).await;
    let page = owner
        .page(&format!("/console/customers/{id}?kind=change"))
        .await;
    assert!(
        page.contains("email: ann@example.com → other@example.com"),
        "{page}"
    );
    assert!(page.contains("status: active → past_due"), "{page}");
    assert!(page.contains("price_basic → price_basic × 3"), "{page}");
    assert!(!page.contains('\u{202e}'), "{page}");
    let event = owner.page("/console/events/evt_late").await;
    assert!(event.contains("status: active → past_due"), "{event}");
    assert!(!event.contains("&#34;collection_paused&#34;"), "{event}");
    let audit = owner.page("/console/audit?operation=update_contact").await;
    assert!(
        audit.contains("email: ann@example.com → other@example.com"),
        "{audit}"
    );
    server.stop_and_give_back().await;
}

/// The bound is of a build for use; one for tests takes several times as long.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_many_events_is_shown_at_once() {
    let server = TestServer::start(Engine::Sqlite).await;
    let id = buys(&server, "cus_1", "ann@example.com").await;
    let now = seconds_from_now(0);
    for number in 0..1_000 {
        let mut subscription = stripe_subscription("sub_cus_1", "cus_1", "active");
        subscription["metadata"] = json!({"number": number.to_string()});
        let event_id = format!("evt_{number}");
        let updated = "customer.subscription.updated";
        let event = stripe_event(&event_id, updated, now + number, subscription);
        let (status, answer) = server.post(STRIPE.name, &event).await;
        assert_eq!(status, 200, "{answer}");
    }
    server.outcome("evt_999").await;
    let owner = Visit::owner(&server).await;
    let path = format!("/console/customers/{id}");
    owner.page(&path).await;
    let started = Instant::now();
    let page = owner.page(&path).await;
    let took = started.elapsed();
    assert!(page.contains(">Older<"), "{page}");
    let bound = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 100 });
    assert!(took < bound, "{took:?}");
    server.stop().await;
}
