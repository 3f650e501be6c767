//! What pages leave out: what came after they were made, that an app is paused, what is behind the
//! thousandth, and what an address that was copied brings along.

use serde_json::json;
use tollgate::provider::STRIPE;

use crate::console::visit::{Visit, buys, buys_at, pages_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_event};

on_both_stores! {
    a_replay_of_all_is_of_those_that_were_counted,
    a_pause_is_said_on_every_page,
    many_flags_of_one_subject_hide_none_of_another,
    what_is_pasted_with_an_address_around_finds_all_the_same,
}

/// A subscription without a customer: it cannot be understood.
async fn fails(server: &TestServer, id: &str) {
    let object = json!({"id": format!("sub_{id}"), "object": "subscription", "status": "active"});
    let updated = "customer.subscription.updated";
    let event = stripe_event(id, updated, seconds_from_now(0), object);
    server.deliver(STRIPE.name, &event).await;
}

/// <https://github.com/sidekiq/sidekiq/issues/5997>: "retry all" also takes those that came after the page
/// was loaded, which nobody has seen.
async fn a_replay_of_all_is_of_those_that_were_counted(engine: Engine) {
    let server = TestServer::start(engine).await;
    fails(&server, "evt_1").await;
    fails(&server, "evt_2").await;
    let owner = Visit::owner(&server).await;
    let asked = owner.page("/console/replays/new?outcome=failed").await;
    assert!(asked.contains("Replay 2<"), "{asked}");
    let (_, form) = asked.split_once("action=\"/console/replays\"").unwrap();
    let (form, _) = form.split_once("</form>").unwrap();
    let (_, until) = form.split_once("name=\"until\" value=\"").unwrap();
    let until = until.split('"').next().unwrap();
    fails(&server, "evt_3").await;
    let fields = [("outcome", "failed"), ("until", until), ("per_second", "1")];
    let ordered = owner.post("/console/replays", &fields).await;
    let page = owner.page(ordered.location()).await;
    assert!(page.contains(" of 2 are in the queue"), "{page}");
    // An end that somebody chose is kept, unless it is later.
    let day = "2001-01-01";
    let asked = owner
        .page(&format!("/console/replays/new?outcome=failed&until={day}"))
        .await;
    assert!(asked.contains("Nothing matches"), "{asked}");
    let later = "/console/replays/new?outcome=failed&until=2190-01-01";
    let asked = owner.page(later).await;
    assert!(!asked.contains("2190-01-01"), "{asked}");
    server.stop_and_give_back().await;
}

/// <https://github.com/misskey-dev/misskey/issues/17478>: who looks at another page than the queue's wonders
/// why nothing goes on.
async fn a_pause_is_said_on_every_page(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    let viewer = Visit::with_role(&server, "viewer").await;
    let pages = pages_of(&ann);
    let said = async || {
        let mut said = Vec::new();
        for path in &pages {
            let page = viewer.page(path).await;
            if page.matches("<b>Paused").count() == 1 {
                said.push(path.clone());
            }
        }
        said
    };
    assert_eq!(said().await, Vec::<String>::new());
    let to = async |act: &str| {
        let path = format!("/api/v1/apps/default/{act}");
        assert_eq!(server.call("POST", &path, Some(json!({}))).await.0, 200);
    };
    to("pause").await;
    assert_eq!(said().await, pages);
    to("resume").await;
    assert_eq!(said().await, Vec::<String>::new());
    server.stop_and_give_back().await;
}

/// <https://github.com/goharbor/harbor/issues/8173>: what is not among the first thousand is not shown, and
/// not counted.
async fn many_flags_of_one_subject_hide_none_of_another(engine: Engine) {
    let server = TestServer::start(engine).await;
    for number in 1..=7 {
        let account = format!("cus_{number}");
        let email = format!("p{number}@example.com");
        buys_at(&server, &account, &email, "price_many").await;
    }
    buys_at(&server, "cus_8", "p8@example.com", "price_one").await;
    for number in 9..=10 {
        // The same address twice: another kind.
        buys(&server, &format!("cus_{number}"), "twin@example.com").await;
    }
    let owner = Visit::owner(&server).await;
    let page = owner.page("/console/flags").await;
    assert!(page.contains("7 customers"), "{page}");
    assert!(page.contains("and 2 more"), "{page}");
    let (many, one) = (page.find("price_many"), page.find("price_one"));
    assert!(many < one, "those that concern most come first: {page}");
    assert!(page.contains("unmapped_price 2<"), "{page}");
    assert!(page.contains("same_email"), "{page}");
    let narrow = owner.page("/console/flags?kind=unmapped_price").await;
    assert!(!narrow.contains("aria-label=\"same_email"), "{narrow}");
    let none = owner.page("/console/flags?kind=nonsense").await;
    assert!(none.contains("Nothing to look at"), "{none}");
    let plans = owner.page("/console/plans").await;
    assert!(
        plans.contains("<code>price_many</code> 7 customers"),
        "{plans}"
    );
    assert!(
        plans.contains("<code>price_one</code> 1 customer "),
        "{plans}"
    );
    // Mapping leads back to the list as it was narrowed.
    let fields = [
        ("provider", "stripe"),
        ("price", "price_one"),
        ("packages", "acme/tool"),
        ("back", "flags"),
        ("kind", "unmapped_price"),
    ];
    assert!(
        narrow.contains("name=\"kind\" value=\"unmapped_price\""),
        "{narrow}"
    );
    let mapped = owner.post("/console/plans", &fields).await;
    assert_eq!(
        mapped.location(),
        "/console/flags?kind=unmapped_price&done=map"
    );
    server.stop_and_give_back().await;
}

/// <https://github.com/Expensify/App/issues/34437>: an address that was copied from a page comes with signs
/// that nobody sees. So do ids, and what surrounds them in a letter.
async fn what_is_pasted_with_an_address_around_finds_all_the_same(engine: Engine) {
    let server = TestServer::start(engine).await;
    let ann = buys(&server, "cus_1", "ann@example.com").await;
    buys(&server, "cus_2", "bob@example.com").await;
    let owner = Visit::owner(&server).await;
    let viewer = Visit::with_role(&server, "viewer").await;
    for text in [
        "\u{200b}ann@example.com\u{feff}",
        "  ANN@Example.COM ",
        "Ann A. <ann@example.com>",
        "mailto:ann@example.com",
        "“ann@example.com”,",
        "\u{202a}cus_1\u{202c}",
        "`sub_cus_1`",
        "https://dashboard.stripe.com/test/customers/cus_1",
        "https://dashboard.stripe.com/subscriptions/sub_cus_1?x=y",
        // Deep in a payload, where no index has it.
        "si_1",
    ] {
        let query = crate::console::visit::written(&[("q", text)]);
        let path = format!("/console/customers?{query}");
        let found = owner.get(&path).await;
        if text == "si_1" {
            assert!(found.text.contains("Events that name it"), "{}", found.text);
            assert!(found.text.contains("evt_began_cus_2"), "{}", found.text);
            // Who may not see payloads does not search them.
            let hidden = viewer.page(&path).await;
            assert!(!hidden.contains("evt_began"), "{hidden}");
            continue;
        }
        let page = format!("/console/customers/{ann}");
        assert_eq!(found.location(), page, "{text}: {}", found.text);
    }
    let nothing = owner.page("/console/customers?q=pm_unknown").await;
    assert!(nothing.contains("do not have it either"), "{nothing}");
    // A sign of patterns is itself, and so is a part of an id.
    for text in ["si__", "si%25", "si_", "%22si_1%22%2C"] {
        let page = owner.page(&format!("/console/customers?q={text}")).await;
        assert_eq!(
            page.contains("evt_began_cus_1"),
            text.contains("si_1"),
            "{text}: {page}"
        );
    }
    server.stop_and_give_back().await;
}
