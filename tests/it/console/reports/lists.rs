//! Lists: pages behind the last, filters that are lost, signs in searches that mean something elsewhere,
//! names of any signs, and times without a zone.

use serde_json::json;
use tollgate::provider::STRIPE;

use crate::console::visit::{Visit, buys, buys_at};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_event};

on_both_stores! {
    a_page_behind_the_last_leads_to_the_last,
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
        buys_at(&server, &cus, &email, &format!("price_new_{number}")).await;
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
