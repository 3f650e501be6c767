//! What people have reported of other consoles for queues and webhooks, tried on this one: pages behind
//! the last, forms sent after the end of a session, buttons pressed twice, long words, times without a
//! zone, filters that are lost, and signs in searches that mean something elsewhere.

use serde_json::json;
use tollgate::provider::STRIPE;

use super::driver::Browser;
use super::visit::{Visit, buys};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{ADMIN_TOKEN, TestServer, seconds_from_now, stripe_event};

on_both_stores! {
    a_page_behind_the_last_leads_to_the_last,
    a_form_of_an_ended_session_leads_back_to_its_page,
    filters_stay_when_pages_are_turned_and_flags_cleared,
    searches_take_any_sign,
    names_of_any_signs_have_pages,
    times_say_their_zone,
}

async fn people(server: &TestServer, names: impl IntoIterator<Item = String>) {
    for name in names {
        let (status, made) = server
            .call("POST", "/api/v1/customers", Some(json!({"name": name})))
            .await;
        assert_eq!(status, 201, "{made}");
    }
}

async fn a_page_behind_the_last_leads_to_the_last(engine: Engine) {
    let server = TestServer::start(engine).await;
    people(&server, (1..=51).map(|number| format!("Person {number}"))).await;
    let owner = Visit::owner(&server).await;
    for (list, last) in [
        ("/console/customers?status=active", 2_u32),
        ("/console/customers?status=expired", 1),
        ("/console/customers?q=Person", 2),
        ("/console/events?outcome=failed", 1),
        ("/console/audit?operation=create", 2),
        ("/console/admins?x=1", 1),
        ("/console/replays?x=1", 1),
        ("/console/reconciles?x=1", 1),
    ] {
        for behind in [last + 1, 4_000_000_000] {
            let answer = owner.get(&format!("{list}&page={behind}")).await;
            assert_eq!(answer.status, 303, "{list}: {}", answer.text);
            let (_, query) = list.split_once('?').unwrap();
            assert_eq!(answer.location(), format!("?{query}&page={last}"), "{list}");
        }
        let page = owner.page(&format!("{list}&page={last}")).await;
        assert!(!page.contains("Nobody yet"), "{list}: {page}");
    }
    server.stop_and_give_back().await;
}

async fn a_form_of_an_ended_session_leads_back_to_its_page(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    let mut ended = Visit::new(&server.base);
    ended.csrf.clone_from(&owner.csrf);
    let page = format!("/console/customers/{ann}?kind=acts");
    let tokens = format!("/console/customers/{ann}/tokens");
    let fields = [
        ("csrf", owner.csrf.as_str()),
        ("app", "default"),
        ("name", "ci"),
    ];
    let referer = format!("{}{page}", server.base);
    let sent = ended.send(&tokens, &fields, &[("referer", &referer)]).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let sign_in = ended.page(sent.location()).await;
    assert!(
        sign_in.contains("nothing of what you sent was done"),
        "{sign_in}"
    );
    let (_, next) = sign_in.split_once("name=\"next\" value=\"").unwrap();
    assert_eq!(next.split('"').next().unwrap(), page);
    let (_, made) = server.get(&format!("/api/v1/customers/{ann}/tokens")).await;
    assert_eq!(made["meta"]["total"], 0, "{made}");
    // A page of another host, or none, leads to the first page of the console.
    for referer in [
        "https://evil.example/x",
        "https://evil.example/console-x",
        "",
        "%",
    ] {
        let sent = ended.send(&tokens, &fields, &[("referer", referer)]).await;
        assert_eq!(sent.location(), "/console/sign-in?lost=1", "{referer}");
    }
    let looked = ended.get("/console/customers").await;
    assert!(!looked.location().contains("lost"), "{}", looked.location());
    server.stop_and_give_back().await;
}

async fn filters_stay_when_pages_are_turned_and_flags_cleared(engine: Engine) {
    let server = TestServer::start(engine).await;
    people(&server, (1..=51).map(|number| format!("A & B {number}"))).await;
    let owner = Visit::owner(&server).await;
    let page = owner
        .page("/console/customers?q=A+%26+B&done=x&undo=1")
        .await;
    assert!(page.contains("?q=A%20%26%20B&#38;page=2"), "{page}");
    let page = owner.page("/console/customers?q=A%20%26%20B&page=2").await;
    assert!(page.contains("51 in all · page 2 of 2"), "{page}");

    for number in 1..=2 {
        let cus = format!("cus_{number}");
        let email = format!("p{number}@example.com");
        super::visit::buys_at(&server, &cus, &email, &format!("price_new_{number}")).await;
    }
    let list = "/console/flags?kind=unmapped_price";
    let flags = owner.page(list).await;
    let (_, rest) = flags.split_once("href=\"/console/flags/").unwrap();
    let link = format!("/console/flags/{}", rest.split('"').next().unwrap());
    let asked = owner.page(&link.replace("&#38;", "&")).await;
    assert!(
        asked.contains(&format!("href=\"{list}\">Cancel")),
        "{asked}"
    );
    let clear = link.split('?').next().unwrap();
    let fields = [("kind", "unmapped_price"), ("reason", "known")];
    let cleared = owner.post(clear, &fields).await;
    assert_eq!(cleared.location(), format!("{list}&done=clear"));
    let left = owner.page(cleared.location()).await;
    assert_eq!(
        left.matches("<section class=\"card\" aria-label=\"unmapped_price")
            .count(),
        1
    );
    server.stop_and_give_back().await;
}

async fn searches_take_any_sign(engine: Engine) {
    let server = TestServer::start(engine).await;
    let names = [
        "100% sure",
        "1000 sure",
        "under_score",
        "underXscore",
        "O'Brien \"& <b>",
        "a\\b",
    ];
    people(&server, names.map(str::to_owned)).await;
    let owner = Visit::owner(&server).await;
    let total = async |query: &str| {
        let answer = owner.get(&format!("/console/customers?q={query}")).await;
        // One who is found alone is shown at once.
        match answer.status {
            303 => 1,
            _ => answer.page().matches("<th scope=\"row\">").count(),
        }
    };
    for (query, expected) in [
        ("sure", 2),
        ("100%25", 1),
        ("0%25%20s", 1),
        ("%25", 1),
        ("r_s", 1),
        ("O%27Brien", 1),
        ("%22%26%20%3Cb%3E", 1),
        ("O'Brien", 1),
        ("%5C", 1),
        ("'%20OR%20'1'='1", 0),
        ("%27%3B--", 0),
        ("100%00%25", 1),
    ] {
        assert_eq!(total(query).await, expected, "{query}");
    }
    // What is no text finds nothing, and breaks nothing.
    let signs = [
        "%",
        "%zz",
        "%ff%fe",
        "%00",
        "%E2%80",
        "%0D%0A",
        "%F0%9F%92%A9",
    ];
    for sign in signs {
        for list in [
            "customers?q=",
            "events?type=",
            "events?error=",
            "events?object=",
            "audit?operation=",
            "flags?kind=",
            "plans?price=",
            "packages?package=",
            "endpoints?types=",
            "endpoints?test=evt_test_",
            "policy?suspend_after=",
        ] {
            let answer = owner.get(&format!("/console/{list}{sign}")).await;
            assert!(
                matches!(answer.status, 200 | 303 | 422),
                "{list}{sign}: {} {}",
                answer.status,
                answer.text
            );
        }
        let fields = [
            ("kinds", "*"),
            ("url", "https://x.example/\0"),
            ("body", "full"),
        ];
        let made = owner.post("/console/hooks", &fields).await;
        assert_eq!(made.status, 200, "{}", made.text);
        let fields = [
            ("provider", "stripe"),
            ("price", "price_\0x"),
            ("packages", "a/b\0"),
        ];
        let put = owner.post("/console/plans", &fields).await;
        assert_eq!(put.location(), "/console/plans?done=put", "{}", put.text);
    }
    server.stop_and_give_back().await;
}

async fn names_of_any_signs_have_pages(engine: Engine) {
    let server = TestServer::start(engine).await;
    let owner = Visit::owner(&server).await;
    for id in [
        "evt/1",
        "evt%2F2",
        "evt?3#x",
        "evt&4=5;6",
        "evt\"7'<8>",
        "evt+9 10",
        "evt.11",
    ] {
        let object = json!({"id": "cus_1", "object": "customer", "email": "a@example.com"});
        let event = stripe_event(id, "customer.created", seconds_from_now(0), object);
        server.post(STRIPE.name, &event).await;
    }
    let link_of = |page: &str, count: usize| -> Vec<String> {
        let links = page.split("href=\"/console/events/").skip(1);
        let links = links.map(|it| format!("/console/events/{}", it.split('"').next().unwrap()));
        let links: Vec<_> = links.collect();
        assert_eq!(links.len(), count, "{page}");
        links
    };
    let list = loop {
        let list = owner.page("/console/events").await;
        if list.contains("7 in all") {
            break list;
        }
        tokio::task::yield_now().await;
    };
    for link in link_of(&list, 7) {
        let page = owner.page(&link).await;
        assert!(
            page.contains(&format!("href=\"{link}/replay\"")),
            "{link}: {page}"
        );
        owner.page(&format!("{link}/replay")).await;
    }
    for price in ["acct_1/price_1", "gold & silver", "100%", "a\"b'c"] {
        let fields = [
            ("provider", "stripe"),
            ("price", price),
            ("packages", "acme/x"),
        ];
        let put = owner.post("/console/plans", &fields).await;
        if put.status == 422 {
            continue;
        }
        let page = owner.page("/console/plans").await;
        let (_, rest) = page.split_once("href=\"/console/plans/delete?").unwrap();
        let query = rest.split('"').next().unwrap().replace("&#38;", "&");
        let asked = owner.page(&format!("/console/plans/delete?{query}")).await;
        assert!(asked.contains("Delete the plan of"), "{asked}");
        let fields = [("provider", "stripe"), ("price", price)];
        let deleted = owner.post("/console/plans/delete", &fields).await;
        assert_eq!(deleted.location(), "/console/plans?done=delete", "{price}");
    }
    server.stop_and_give_back().await;
}

async fn times_say_their_zone(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let owner = Visit::owner(&server).await;
    for path in [
        "/console/overview".to_owned(),
        format!("/console/customers/{ann}"),
    ] {
        let page = owner.page(&path).await;
        assert!(page.contains("<time datetime=\""), "{path}");
        assert!(page.contains("Times and days are in UTC."), "{path}");
    }
    server.stop_and_give_back().await;
}

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
    super::visit::buys_at(
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
