//! No act is done without a question: whatever form changes something asks for a reason, and the reason
//! stands in the audit. The pages are walked by their links, and the acts are those that the console
//! serves, so that a new one is walked too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use serde_json::json;
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::AppSlug;
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::reconcile::{self, Wanted};
use tollgate::provider::STRIPE;
use tollgate::store::Actor;

use super::visit::{Answer, Visit, buys, buys_at};
use crate::support::fake_api::nobodys_api;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_event};

on_both_stores! { every_act_asks_first_and_its_reason_is_audited }

/// Forms that change nothing that the audit is about.
pub(super) const NO_ACTS: [&str; 4] = ["/sign-in", "/sign-out", "/app", "/search"];

/// Acts that find nothing to change here, and why.
const WITHOUT_ENTRY: [(&str, &str); 5] = [
    ("/packages/refresh", "the app has no repository"),
    ("/reconciles", "the app has no API key"),
    ("/replays", "another is open, or nothing matches any more"),
    ("/replays/{id}/cancel", "it has ended"),
    (
        "/reconciles/{id}/cancel",
        "a worker has taken it up, and has no API key to go on with",
    ),
];

/// Most pages of one form that are looked at: the twentieth event shows nothing new.
const MOST: usize = 3;

/// The paths of the console's acts, as its sources route them.
pub(super) fn acts() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/console");
    let mut acts = BTreeSet::new();
    for file in std::fs::read_dir(sources).unwrap() {
        let Ok(text) = std::fs::read_to_string(file.unwrap().path()) else {
            continue;
        };
        for route in text.split(".route(").skip(1) {
            let route = route.split(';').next().unwrap();
            let mut parts = route.split('"');
            let (path, methods) = (parts.nth(1).unwrap_or_default(), parts.next());
            if path.starts_with('/') && methods.is_some_and(|it| it.contains("post(")) {
                acts.insert(path.to_owned());
            }
        }
    }
    acts.retain(|path| !NO_ACTS.contains(&path.as_str()));
    acts
}

/// The act of a path.
fn act_of<'a>(acts: &'a BTreeSet<String>, path: &str) -> Option<&'a String> {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |act: &&String| {
        let wanted: Vec<&str> = act.split('/').collect();
        let same = |(part, wanted): (&&str, &&str)| wanted.starts_with('{') || part == wanted;
        wanted.len() == parts.len() && parts.iter().zip(&wanted).all(same)
    };
    let mut fitting: Vec<_> = acts.iter().filter(fits).collect();
    fitting.sort_by_key(|act| act.matches('{').count());
    fitting.first().copied()
}

/// A path with its ids and queries left out.
fn shape_of(link: &str) -> String {
    let path = link.split(['?', '#']).next().unwrap();
    let is_id = |part: &&str| part.contains('_') || part.len() > 24;
    let parts = path
        .split('/')
        .map(|part| if is_id(&part) { "*" } else { part });
    let names = link.split_once('?').map_or("", |(_, query)| query);
    let names = names.split('&').filter_map(|it| it.split('=').next());
    let names: BTreeSet<&str> = names.collect();
    format!("{} {names:?}", parts.collect::<Vec<_>>().join("/"))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

fn plain(text: &str) -> String {
    text.replace("&#38;", "&").replace("&amp;", "&")
}

/// A form that changes something: where it goes, and what it says as it stands.
pub(super) struct Act {
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
}

/// What a person writes into a field that must be filled in.
fn written_into(name: &str) -> &'static str {
    match name {
        "packages" | "package" => "acme/extra",
        "version" => "9.9.9",
        "secret" => "whsec_THIRD0123456789abcdef",
        "url" => "https://other.example/hook",
        "price" => "price_other",
        "expires_at" => "2199-01-01",
        _ => "something",
    }
}

impl Act {
    /// Sends it as a person who gives this reason does.
    pub(super) async fn send(&self, visit: &Visit, reason: &str) -> Answer {
        let said = self.fields.iter().filter(|(name, _)| name != "reason");
        let said = said.map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = said.chain([("reason", reason)]).collect();
        visit.send(&self.action, &fields, &[]).await
    }

    fn of(form: &str) -> Self {
        let (head, rest) = form.split_once('>').unwrap();
        let mut fields = Vec::new();
        for tag in rest
            .split("<input")
            .skip(1)
            .map(|it| it.split('>').next().unwrap())
        {
            let (Some(name), kind) = (attribute(tag, "name"), attribute(tag, "type")) else {
                continue;
            };
            let value = attribute(tag, "value").map(plain).unwrap_or_default();
            let value = match value.as_str() {
                "" if tag.contains("required") => written_into(name).to_owned(),
                _ => value,
            };
            if kind != Some("checkbox") || tag.contains("checked") {
                fields.push((name.to_owned(), value));
            }
        }
        for tag in rest.split("<select").skip(1) {
            let name = attribute(tag, "name").unwrap();
            let (_, first) = tag.split_once("<option").unwrap();
            let word = first.split_once('>').unwrap().1.split('<').next().unwrap();
            let value = attribute(first.split('>').next().unwrap(), "value").unwrap_or(word);
            fields.push((name.to_owned(), value.to_owned()));
        }
        let action = plain(attribute(head, "action").unwrap());
        Self { action, fields }
    }
}

/// Gives the app one of everything; where the walk begins beside the menu.
pub(super) async fn furnish(server: &TestServer) -> Vec<String> {
    let ann = buys(server, "cus_1", "ann@example.com").await;
    buys(server, "cus_2", "bob@example.com").await;
    buys_at(server, "cus_3", "cleo@example.com", "price_new").await;
    for number in 1..=2 {
        let object = json!({"id": "sub_0", "object": "subscription", "status": "active"});
        let updated = "customer.subscription.updated";
        let id = format!("evt_broken_{number}");
        let event = stripe_event(&id, updated, seconds_from_now(0), object);
        server.deliver(STRIPE.name, &event).await;
    }
    let post = async |path: &str, body: serde_json::Value| {
        let (status, made) = server
            .call("POST", &format!("/api/v1{path}"), Some(body))
            .await;
        assert!(status < 300, "{path}: {made}");
        made
    };
    post("/packages/acme/tool/releases", json!({"version": "1.0.0"})).await;
    let grant = json!({"package": "acme/hand"});
    post(&format!("/customers/{ann}/packages"), grant).await;
    post(&format!("/customers/{ann}/tokens"), json!({"name": "ci"})).await;
    let license = json!({"customer_id": ann, "product": "desktop",
        "expires_at": "2190-01-01T00:00:00Z"});
    let license = post("/licenses", license).await;
    for fingerprint in ["f-1", "f-2"] {
        let place = json!({"key": license["key"], "fingerprint": fingerprint});
        post("/licenses/activate", place).await;
    }
    let license = format!("/console/licenses/{}", license["id"].as_str().unwrap());
    let hook = post(
        "/apps/default/hooks",
        json!({"url": "https://hooks.invalid/x"}),
    )
    .await;
    let hook = hook["id"].as_str().unwrap();
    post(&format!("/apps/default/hooks/{hook}/test"), json!({})).await;
    for secret in [
        "whsec_FIRST0123456789abcdef",
        "whsec_SECOND0123456789abcdef",
    ] {
        let path = "/apps/default/endpoints/stripe/secrets";
        post(path, json!({"secret": secret})).await;
    }
    let token = json!({"name": "somebody", "role": "viewer", "app": "default"});
    post("/admin-tokens", token).await;
    let plan = json!({"packages": [{"package": "acme/plan"}]});
    let path = "/api/v1/plans/stripe/price_api";
    assert_eq!(server.call("PUT", path, Some(plan)).await.0, 201);
    let replay = post("/events/replay", json!({"filter": {"outcome": "failed"}})).await;
    let replay = replay["id"].as_str().unwrap();
    let by = Order {
        app: AppSlug::default_app(),
        actor: Actor::Operator,
        now: SystemClock.now(),
        reason: None,
    };
    let wanted = Wanted {
        provider: STRIPE.name,
        since: None,
        dry_run: true,
    };
    let apis = Apis::default().and(by.app.clone(), nobodys_api());
    let open = reconcile::order(server.server.store(), &apis, &by, wanted).await;
    let open = open.unwrap().id;
    vec![
        "/console/overview".to_owned(),
        format!("/console/customers/{ann}"),
        format!("/console/customers/{ann}/link?account=cus_2"),
        format!("/console/customers/{ann}/grant?package=acme/other"),
        format!("{license}/act/renew?expires_at=2199-01-01"),
        format!("{license}/act/limit?limit=3"),
        license,
        "/console/policy?on_end=expire".to_owned(),
        "/console/packages?package=acme/tool".to_owned(),
        "/console/packages/declare?package=acme/new&versions=semver".to_owned(),
        "/console/replays/new?outcome=failed".to_owned(),
        format!("/console/replays/{replay}/cancel"),
        format!("/console/reconciles/{open}/cancel"),
    ]
}

/// The forms of a page that change something, by their acts. Each asks for a reason.
fn forms(acts: &BTreeSet<String>, page: &str, link: &str) -> Vec<(String, Act)> {
    let mut found = Vec::new();
    for form in page.split("<form ").skip(1) {
        let form = form.split("</form>").next().unwrap();
        if !form.contains("method=\"post\"") {
            continue;
        }
        let act = Act::of(form);
        let path = act.action.strip_prefix("/console").unwrap();
        if NO_ACTS.contains(&path) {
            continue;
        }
        let of = act_of(acts, path).unwrap_or_else(|| panic!("{path} on {link}"));
        assert!(
            form.contains("name=\"reason\""),
            "{path} on {link} asks for no reason: {form}"
        );
        // The acts of one route are different ones, if their last part says so.
        let word = path.rsplit('/').next().filter(|_| of.ends_with("{act}"));
        found.push((format!("{of} {}", word.unwrap_or_default()), act));
    }
    found
}

/// Follows the links of all pages, and returns the forms that change something, by their acts.
pub(super) async fn walk(
    owner: &Visit,
    acts: &BTreeSet<String>,
    begin: Vec<String>,
) -> BTreeMap<String, Act> {
    let mut found = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut known: BTreeSet<String> = begin.iter().cloned().collect();
    let mut next = VecDeque::from(begin);
    while let Some(link) = next.pop_front() {
        let times = seen.entry(shape_of(&link)).or_default();
        *times += 1;
        if *times > MOST {
            continue;
        }
        let answer = owner.get(&link).await;
        // What leads elsewhere, and acts that something stands against here.
        if matches!(answer.status, 303 | 409) {
            continue;
        }
        assert_eq!(answer.status, 200, "{link}: {}", answer.text);
        let page = answer.text;
        for (name, act) in forms(acts, &page, &link) {
            found.entry(name).or_insert(act);
        }
        for rest in page.split(" href=\"").skip(1) {
            let target = plain(rest.split('"').next().unwrap());
            let target = match target.strip_prefix('?') {
                Some(query) => format!("{}?{query}", link.split('?').next().unwrap()),
                None => target,
            };
            let target = target.split('#').next().unwrap().to_owned();
            let is_page = target.starts_with("/console/") && !target.contains("/assets/");
            if is_page && known.insert(target.clone()) {
                next.push_back(target);
            }
        }
    }
    found
}

/// What takes something away comes last, so that the others still have it.
pub(super) fn late(act: &str) -> usize {
    let last = [
        "disable",
        "part",
        "link",
        "free",
        "act} free",
        "cancel",
        "expire",
        "revoke",
        "remove",
        "delete",
    ];
    let place = last.iter().rposition(|word| act.contains(word));
    place.map_or(0, |place| place + 1)
}

async fn every_act_asks_first_and_its_reason_is_audited(engine: Engine) {
    let server = TestServer::start(engine).await;
    let begin = furnish(&server).await;
    let owner = Visit::owner(&server).await;
    let acts = acts();
    assert!(acts.len() > 30, "{acts:?}");
    let mut found = walk(&owner, &acts, begin).await;
    // While an app is paused, its overview has another act.
    let to = async |act: &str| {
        let path = format!("/api/v1/apps/default/{act}");
        server.call("POST", &path, Some(json!({}))).await.0
    };
    assert_eq!(to("pause").await, 200);
    let paused = owner.page("/console/overview").await;
    found.extend(forms(&acts, &paused, "the overview"));
    assert_eq!(to("resume").await, 200);
    let walked: BTreeSet<&str> = found
        .keys()
        .map(|it| it.split(' ').next().unwrap())
        .collect();
    let missing: Vec<_> = acts
        .iter()
        .filter(|it| !walked.contains(it.as_str()))
        .collect();
    assert!(missing.is_empty(), "no page leads to {missing:?}");

    let mut found: Vec<(String, Act)> = found.into_iter().collect();
    found.sort_by_key(|(name, _)| late(name));
    for (number, (name, act)) in found.iter().enumerate() {
        let reason = format!("walked {number}");
        let answer = act.send(&owner, &reason).await;
        let (_, audit) = server.get("/api/v1/audit?page_size=100").await;
        let mut entries = audit["data"].as_array().unwrap().iter();
        if !entries.any(|it| it["details"]["reason"] == reason.as_str()) {
            let route = name.split(' ').next().unwrap();
            assert!(
                WITHOUT_ENTRY.iter().any(|(known, _)| *known == route),
                "{name}: {} {} {}",
                answer.status,
                answer.location(),
                answer.text
            );
        }
    }
    assert!(found.len() > 40, "{}", found.len());
    server.stop_and_give_back().await;
}
