//! Asked again and again: what was written is kept, and nobody sees anything of that but its speed.

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate::provider::STRIPE;

use super::repository::{Shape, VERSIONS};
use super::{Answer, Rig};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_event, stripe_subscription};

const FILE: &str = "/composer/p2/acme/tool.json";
/// 2026-01-01T00:00:00Z.
const NEW_YEAR: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

/// A customer whose file is asked for before and after each change.
struct Customer<'a> {
    rig: &'a Rig,
    path: String,
    token: String,
}

impl Customer<'_> {
    async fn file(&self, headers: &[(&str, &str)]) -> Answer {
        self.rig.ask(&self.token, FILE, headers).await
    }

    /// Sees these versions, also in what is kept by then. `before` is the tag of what was seen before,
    /// which was something else; returns that of what is seen now.
    async fn sees(&self, expected: &[&str], before: &str) -> String {
        let changed = self.file(&[("if-none-match", before)]).await;
        assert_eq!(changed.status, 200, "{expected:?}: it is another file");
        let tag = changed.header("etag").to_owned();
        for _ in 0..2 {
            assert_eq!(self.rig.agreed(&self.token, "acme/tool").await, expected);
        }
        let again = self.file(&[]).await;
        assert_eq!(
            (&again.bytes, again.header("etag")),
            (&changed.bytes, &*tag)
        );
        let known = self.file(&[("if-none-match", &tag)]).await;
        assert_eq!((known.status, known.bytes.len()), (304, 0), "{expected:?}");
        tag
    }

    async fn post(&self, act: &str, body: Value) {
        self.rig.post(&format!("{}/{act}", self.path), body).await;
    }

    async fn may_have(&self, constraint: &str) {
        let grants = json!({"packages": [{"package": "acme/tool", "constraint": constraint}]});
        self.call("PUT", &format!("{}/packages", self.path), Some(grants))
            .await;
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) {
        let (status, answer) = self.rig.server.call(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
    }
}

const ALL: &[&str] = &[
    "1.0.0",
    "1.1.0",
    "1.x-dev",
    "2.0.0",
    "2.1.0-beta1",
    "dev-main",
];

async fn every_change_is_seen_at_the_next_request(engine: Engine) {
    for (shape, over_http) in [(Shape::Minified, true), (Shape::Satis, false)] {
        let rig = Rig::start(engine, shape, over_http).await;
        let (path, token) = rig.customer(&[("acme/tool", "*")]).await;
        let rig = &rig;
        let customer = Customer { rig, path, token };
        let all = customer.sees(ALL, "").await;
        customer.may_have("^1.0").await;
        let series = ["1.0.0", "1.1.0", "1.x-dev"];
        let first = customer.sees(&series, &all).await;

        let at = json!({"at": "2026-01-15T00:00:00Z"});
        customer.post("freeze", at).await;
        let frozen = customer.sees(&["1.0.0", "1.1.0"], "\"x\"").await;
        let release = "/api/v1/packages/acme/tool/releases/1.0.0";
        customer.call("DELETE", release, None).await;
        let fewer = customer.sees(&["1.1.0"], &frozen).await;
        let exactly = json!({"versions": [{"package": "acme/tool", "version": "2.0.0"}]});
        customer.post("reactivate", json!({})).await;
        let again = customer.sees(&series, &fewer).await;
        assert_eq!(again, first, "what is the same again has the same tag");
        customer.post("freeze", exactly).await;
        let exactly = customer.sees(&["2.0.0"], &first).await;

        customer.post("suspend", json!({})).await;
        assert_eq!(
            customer.file(&[("if-none-match", &exactly)]).await.status,
            403
        );
        customer.post("reactivate", json!({})).await;
        customer.may_have("*").await;
        assert_eq!(customer.sees(ALL, &exactly).await, all);

        let mut versions = VERSIONS.to_vec();
        versions.push(("acme/tool", "3.0.0", "2026-03-01T00:00:00+00:00"));
        rig.repository.write(&versions);
        if over_http {
            rig.post("/api/v1/packages/refresh", json!({})).await;
        }
        let mut more = ALL.to_vec();
        more.insert(5, "3.0.0");
        let more = customer.sees(&more, &all).await;
        let grant = format!("{}/packages/acme/tool", customer.path);
        customer.call("DELETE", &grant, None).await;
        assert_eq!(customer.file(&[("if-none-match", &more)]).await.status, 404);
    }
}

/// A payment of something that was bought once.
fn paid(id: &str, at: i64) -> Value {
    let invoice = json!({
        "id": id, "object": "invoice", "customer": "cus_1", "amount_paid": 900, "total": 900,
        "currency": "eur", "status": "paid", "status_transitions": {"paid_at": at},
        "lines": {"object": "list", "has_more": false, "data": [{
            "id": "il_1", "amount": 900, "parent": {"type": "invoice_item_details"},
            "pricing": {"price_details": {"price": "price_once", "product": "prod_once"}},
            "period": {"start": at, "end": at},
        }]},
    });
    stripe_event(&format!("evt_{id}"), "invoice.paid", at, invoice)
}

async fn what_is_bought_is_seen_at_the_next_request(engine: Engine) {
    let rig = &Rig::start(engine, Shape::Plain, false).await;
    let plan = |constraint: &str, updates: Option<&str>| {
        let grants = json!([{"package": "acme/tool", "constraint": constraint}]);
        Some(json!({"packages": grants, "updates": updates}))
    };
    let put = async |body| {
        let path = "/api/v1/plans/stripe/price_once";
        let (status, answer) = rig.server.call("PUT", path, body).await;
        assert!(status < 300, "{answer}");
    };
    put(plan("*", Some("30d"))).await;
    rig.server
        .deliver(STRIPE.name, &paid("in_1", NEW_YEAR - 20 * DAY))
        .await;
    let (_, made) = rig.server.get("/api/v1/customers/by-external/cus_1").await;
    let path = format!("/api/v1/customers/{}", made["id"].as_str().unwrap());
    let token = rig
        .post(&format!("{path}/tokens"), json!({"name": "t"}))
        .await;
    let token = token["token"].as_str().unwrap().to_owned();
    let customer = Customer { rig, path, token };
    let first = customer.sees(&["1.0.0", "1.1.0"], "").await;
    // Bought again, it reaches further.
    rig.server
        .deliver(STRIPE.name, &paid("in_2", NEW_YEAR + 5 * DAY))
        .await;
    let further = customer.sees(&["1.0.0", "1.1.0", "2.0.0"], &first).await;
    put(plan("^2.0", Some("30d"))).await;
    let other = customer.sees(&["2.0.0"], &further).await;
    // By subscription the plan of the settings gives all that comes out of its series.
    let began = stripe_subscription("sub_1", "cus_1", "active");
    let event = stripe_event("evt_1", "customer.subscription.created", NEW_YEAR, began);
    rig.server.deliver(STRIPE.name, &event).await;
    let both = ["1.0.0", "1.1.0", "1.x-dev", "2.0.0"];
    customer.sees(&both, &other).await;
}

async fn each_package_is_decided_by_its_own_releases(engine: Engine) {
    let rig = &Rig::start(engine, Shape::Plain, false).await;
    let (path, token) = rig
        .customer(&[("acme/tool", "^2.0"), ("acme/other", "*")])
        .await;
    rig.post("/api/v1/packages/refresh", json!({})).await;
    for (at, tools, others) in [
        ("2026-01-15T00:00:00Z", vec![], vec!["1.0.0"]),
        ("2026-02-05T00:00:00Z", vec!["2.0.0"], vec!["1.0.0"]),
        ("2025-12-01T00:00:00Z", vec![], vec![]),
    ] {
        rig.post(&format!("{path}/freeze"), json!({"at": at})).await;
        for _ in 0..2 {
            assert_eq!(rig.agreed(&token, "acme/tool").await, tools, "{at}");
            assert_eq!(rig.agreed(&token, "acme/other").await, others, "{at}");
        }
        rig.post(&format!("{path}/reactivate"), json!({})).await;
    }
}

async fn customers_in_turns_never_see_what_is_the_others(engine: Engine) {
    for shape in [Shape::Plain, Shape::Inline] {
        let rig = &Rig::start(engine, shape, false).await;
        let mut customers = Vec::new();
        for (constraint, expected) in [
            ("^1.0", vec!["1.0.0", "1.1.0"]),
            ("^2.0", vec!["2.0.0", "2.1.0-beta1"]),
            ("~1.0 || ~1.1", vec!["1.0.0", "1.1.0"]),
            ("*", vec!["1.0.0", "1.1.0", "2.0.0", "2.1.0-beta1"]),
            ("^7", vec![]),
        ] {
            let (_, token) = rig.customer(&[("acme/tool", constraint)]).await;
            customers.push((token, expected));
        }
        let ask = async |(token, expected): &(String, Vec<&str>)| {
            let answer = rig.ask(token, FILE, &[]).await;
            let text = String::from_utf8(answer.bytes.clone()).unwrap();
            for version in ["1.0.0", "1.1.0", "2.0.0", "2.1.0-beta1"] {
                let is_listed = text.contains(&format!(r#""version":"{version}""#));
                assert_eq!(is_listed, expected.contains(&version), "{version}: {text}");
            }
            (answer.header("etag").to_owned(), text)
        };
        let mut rounds = Vec::new();
        for _ in 0..8 {
            rounds.push(join_all(customers.iter().map(&ask)).await);
        }
        let first = rounds[0].clone();
        assert!(rounds.iter().all(|round| *round == first), "{shape:?}");
        // However it is granted, the same is the same; and a tag stands for nothing else.
        assert_eq!(first[0], first[2]);
        let tags: std::collections::BTreeSet<&String> = first.iter().map(|it| &it.0).collect();
        assert_eq!(tags.len(), 4, "{first:?}");
        let known = [("if-none-match", first[0].0.as_str())];
        let statuses = customers
            .iter()
            .map(async |(token, _)| rig.ask(token, FILE, &known).await.status);
        assert_eq!(join_all(statuses).await, [304, 200, 304, 200, 200]);
    }
}

async fn archives_are_at_the_address_that_was_asked(engine: Engine) {
    let rig = Rig::start(engine, Shape::Plain, false).await;
    let (_, token) = rig.customer(&[("acme/tool", "^1.0")]).await;
    for host in ["a.example", "b.example:8080", "a.example", "b.example:8080"] {
        let answer = rig.ask(&token, FILE, &[("host", host)]).await;
        let document = answer.json();
        let url = document["packages"]["acme/tool"][0]["dist"]["url"]
            .as_str()
            .unwrap();
        let expected = format!("http://{host}/composer/dist/acme/tool/");
        assert!(url.starts_with(&expected), "{host}: {url}");
    }
}

on_both_stores! {
    every_change_is_seen_at_the_next_request,
    what_is_bought_is_seen_at_the_next_request,
    each_package_is_decided_by_its_own_releases,
    customers_in_turns_never_see_what_is_the_others,
    archives_are_at_the_address_that_was_asked,
}
