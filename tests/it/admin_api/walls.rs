//! Every route of the admin API, asked by those who may not: nobody, the wrong role, another app.
//!
//! The routes come from the API itself, so a new one is walked too. What it needs, an id in its
//! path or fields in its body, is said in `Things`; a part of a path that is not known there fails
//! the walk.

use serde_json::{Value, json};
use tollgate::pipeline::apis::Apis;
use tollgate::pipeline::order::Order;
use tollgate::pipeline::reconcile::{self, Wanted};
use tollgate::provider::STRIPE;
use tollgate::store::Actor;

use super::rig::{Answer, NOW, ROOT, Rig, id_of, path_of};
use super::tenants::routes;
use crate::support::fake_api::nobodys_api;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

/// POSTs that only ask a question, so that a viewer may.
const QUESTIONS: [&str; 4] = [
    "/apps/{slug}/licenses/validate",
    "/constraints/evaluate",
    "/licenses/validate",
    "/policy/simulate",
];

/// What only an owner may do, by what its path begins with. Reading is for everybody.
const OWNERS: [(&str, &[&str]); 3] = [
    ("/admin-tokens", &["POST", "DELETE"]),
    ("/apps/{slug}/endpoints", &["POST", "PATCH", "DELETE"]),
    ("/apps", &["POST", "PUT", "PATCH", "DELETE"]),
];

/// What no viewer may read, because it is personal data in bulk. Who asked for it is audited, so it is
/// never twice the same.
const EXPORT: &str = "/customers/{id}/export";

/// What any admin may do below `/apps/{slug}`: the other dialect, whose roles are those of the first, and
/// having workers wait.
const NOT_OWNERS: [&str; 6] = [
    "/apps/{slug}/customers",
    "/apps/{slug}/hooks/{id}/deliveries",
    "/apps/{slug}/hooks/{id}/test",
    "/apps/{slug}/licenses",
    "/apps/{slug}/pause",
    "/apps/{slug}/resume",
];

fn is_owners(method: &str, route: &str) -> bool {
    let of =
        |(path, methods): &(&str, &[&str])| route.starts_with(path) && methods.contains(&method);
    !NOT_OWNERS.iter().any(|it| route.starts_with(it)) && OWNERS.iter().any(of)
}

/// One of everything, by the names that paths and bodies have for it.
pub(super) struct Things {
    slug: &'static str,
    customer: String,
    external_id: &'static str,
    email: &'static str,
    token: String,
    license: String,
    license_key: String,
    activation: String,
    event: &'static str,
    replay: String,
    reconcile: String,
    secret: String,
    admin_token: String,
    flag: String,
    hook: String,
    delivery: String,
}

impl Things {
    /// Of the same form, and nowhere.
    pub(super) fn missing() -> Self {
        let none = |prefix: &str| format!("{prefix}_{}", "0".repeat(32));
        Self {
            slug: "none",
            customer: none("cust"),
            external_id: "e-0",
            email: "none@x.com",
            token: none("ctok"),
            license: none("lic"),
            license_key: "no-such-key".to_owned(),
            activation: none("act"),
            event: "evt_none",
            replay: none("rpl"),
            reconcile: none("rcn"),
            secret: none("whs"),
            admin_token: none("atok"),
            flag: none("flag"),
            hook: none("hook"),
            delivery: none("dlv"),
        }
    }

    /// What stands for a variable part of a path, by the part before it.
    fn part(&self, before: &str, name: &str) -> Option<&str> {
        Some(match (before, name) {
            ("customers", "id") => &self.customer,
            ("by-external", _) => self.external_id,
            ("tokens", "token_id") => &self.token,
            ("licenses", "id") => &self.license,
            (_, "activation_id") => &self.activation,
            ("events", "id") => self.event,
            ("replays", "id") => &self.replay,
            ("reconciles", "id") => &self.reconcile,
            ("secrets", "id") => &self.secret,
            ("admin-tokens", "id") => &self.admin_token,
            ("flags", "id") => &self.flag,
            ("hooks", "id") => &self.hook,
            (_, "delivery") => &self.delivery,
            ("apps", "slug") => self.slug,
            (_, "provider") => "stripe",
            (_, "price_id") => "p",
            ("{provider}", "account") => "acct_1",
            (_, "package") => "a%2Fb",
            (_, "account") => "cus_1",
            (_, "version") => "1.0",
            (_, "vendor") => "a",
            (_, "name") => "b",
            _ => return None,
        })
    }

    /// The path of a route.
    pub(super) fn path(&self, route: &str) -> String {
        let mut before = "";
        let mut path = String::new();
        for part in route.split('/').skip(1) {
            path.push('/');
            let variable = part.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            path.push_str(match variable {
                None => part,
                Some(name) => self
                    .part(before, name.trim_start_matches('*'))
                    .unwrap_or_else(|| {
                        panic!("say in `Things` what stands for {{{name}}} in {route}")
                    }),
            });
            before = part;
        }
        match route.rsplit('/').next() {
            Some("by-email") => format!("{path}?email={}", self.email),
            Some("by-external-id") => format!("{path}?external_id={}", self.external_id),
            Some("access") => format!("{path}?package=a/b"),
            _ => path,
        }
    }

    /// A body that the route takes.
    pub(super) fn body(&self, method: &str, route: &str) -> Option<Value> {
        let last = route.rsplit('/').next().unwrap();
        Some(match (method, last) {
            ("GET" | "DELETE", _) => return None,
            ("POST", "get-or-create") => json!({"email": "x@x.com", "external_id": "x"}),
            ("POST", "customers") if route.starts_with("/apps/") => json!({"email": "y@x.com"}),
            ("PUT", "{package}" | "{name}") => json!({"versions": "composer"}),
            ("POST", "packages") => json!({"package": "a/c"}),
            ("PUT", "packages" | "{price_id}") => json!({"packages": []}),
            ("POST", "releases") => json!({"version": "9.9.9"}),
            ("POST", "licenses") => json!({"customer_id": self.customer, "product": "x"}),
            ("POST", "validate") => json!({"key": self.license_key}),
            ("POST", "activate" | "deactivate") => {
                json!({"key": self.license_key, "fingerprint": "f"})
            }
            ("POST", "apps") => json!({"slug": "x", "name": "x"}),
            ("POST", "admin-tokens") => json!({"name": "x", "role": "viewer"}),
            ("POST", "hooks") => json!({"url": "https://x.example/hook"}),
            ("PATCH", "{id}") if route.contains("/hooks/") => json!({"description": "x"}),
            ("POST", "secrets") => json!({"secret": "whsec_x"}),
            ("PUT", "api-key") => json!({"key": "rk_live_x"}),
            ("PATCH", "{id}") if route.contains("/secrets/") => json!({"expires_at": null}),
            ("PATCH", "{id}") if route.contains("/licenses/") => json!({"expires_at": null}),
            ("POST", "renew") => json!({"days": 1}),
            ("POST", "customers" | "tokens") | ("PATCH" | "PUT", "{id}" | "{slug}") => {
                json!({"name": "x"})
            }
            ("POST", "reconciles") => json!({"provider": "stripe"}),
            ("POST", "evaluate") => json!({"constraint": "*", "versions": ["1.0"]}),
            ("POST", "dismiss") if route == "/events/dismiss" => json!({"filter": {}}),
            // An order would be refused the second time, because the first is open.
            ("POST", "replay") if route == "/events/replay" => {
                json!({"filter": {}, "dry_run": true})
            }
            _ => json!({}),
        })
    }
}

/// A rig with two apps: `one` has one of everything, `two` has nothing.
pub(super) struct Town {
    pub(super) rig: Rig,
    /// Owners of the two.
    pub(super) one: String,
    pub(super) two: String,
    pub(super) things: Things,
}

impl Town {
    pub(super) async fn start(engine: Engine) -> Self {
        let rig = Rig::start(engine).await;
        for slug in ["one", "two"] {
            let app = json!({"slug": slug, "name": slug});
            rig.post("/apps", app).await.expect(201);
        }
        let one = rig.admin("owner", Some("one")).await;
        let two = rig.admin("owner", Some("two")).await;
        let things = furnish(&rig, &one).await;
        Self {
            rig,
            one,
            two,
            things,
        }
    }

    pub(super) async fn ask(
        &self,
        token: &str,
        (method, route): (&str, &str),
        of: &Things,
    ) -> Answer {
        let (path, body) = (of.path(route), of.body(method, route));
        self.rig.as_admin(token, method, &path, body).await
    }

    /// Everything that the owner of `one` can read.
    pub(super) async fn seen_by_one(&self) -> Vec<(String, Value)> {
        let mut seen = Vec::new();
        let read = |(method, route): &&(String, String)| method == "GET" && route != EXPORT;
        for (_, route) in routes().iter().filter(read) {
            let answer = self.ask(&self.one, ("GET", route), &self.things).await;
            assert_eq!(answer.status, 200, "GET {route}: {}", answer.body);
            seen.push((route.clone(), answer.body));
        }
        seen
    }
}

/// Gives an app one of everything.
async fn furnish(rig: &Rig, owner: &str) -> Things {
    let post = async |path: &str, body: Value| {
        let answer = rig.as_admin(owner, "POST", path, Some(body)).await;
        assert!(answer.status < 300, "{path}: {}", answer.body);
        answer.body
    };
    let ada = json!({"name": "Ada", "email": "ada@x.com", "external_id": "e-1"});
    let ada = post("/customers", ada).await;
    let customer = path_of(&ada);
    post(&format!("{customer}/packages"), json!({"package": "a/b"})).await;
    let token = post(&format!("{customer}/tokens"), json!({"name": "ci"})).await;
    let license = json!({"customer_id": id_of(&ada), "product": "tool"});
    let license = post("/licenses", license).await;
    let place = json!({"key": license["key"], "fingerprint": "f-1", "name": "Ada's"});
    let activation = post("/licenses/activate", place).await;
    let secrets = "/apps/one/endpoints/stripe/secrets";
    let secret = post(secrets, json!({"secret": "whsec_one"})).await;
    let hook = post("/apps/one/hooks", json!({"url": "https://x.example/"})).await;
    let test = format!("/apps/one/hooks/{}/test", id_of(&hook));
    let delivery = post(&test, json!({})).await;
    let viewer = post("/admin-tokens", json!({"name": "v", "role": "viewer"})).await;
    post("/packages/a/b/releases", json!({"version": "1.0"})).await;
    let plan = Some(json!({"packages": [{"package": "a/b", "constraint": "*"}]}));
    for id in ["p", "acct_1/p"] {
        let path = format!("/plans/stripe/{id}");
        rig.as_admin(owner, "PUT", &path, plan.clone())
            .await
            .expect(201);
    }
    let account = stripe_customer("cus_1", "ada@x.com");
    let event = stripe_event("evt_1", "customer.created", NOW - 9, account);
    rig.happens_in("one", &event).await;
    let replay = post("/events/replay", json!({"filter": {}})).await;
    let by = Order {
        app: "one".parse().unwrap(),
        actor: Actor::Operator,
        now: rig.now(),
        reason: None,
    };
    let apis = Apis::default().and(by.app.clone(), nobodys_api());
    let wanted = Wanted {
        provider: STRIPE.name,
        since: None,
        dry_run: false,
    };
    let reconcile = reconcile::order(&rig.store, &apis, &by, wanted).await;
    let charge = json!({"id": "ch_1", "object": "charge", "customer": "cus_1"});
    let dispute =
        json!({"id": "dp_1", "object": "dispute", "charge": charge, "status": "needs_response"});
    let event = stripe_event("evt_2", "charge.dispute.created", NOW - 8, dispute);
    rig.happens_in("one", &event).await;
    let flags = rig.as_admin(owner, "GET", "/flags", None).await.body;
    Things {
        slug: "one",
        customer: id_of(&ada),
        external_id: "e-1",
        email: "ada@x.com",
        token: id_of(&token),
        license: id_of(&license),
        license_key: license["key"].as_str().unwrap().to_owned(),
        activation: id_of(&activation),
        event: "evt_1",
        replay: id_of(&replay),
        reconcile: reconcile.unwrap().id.into(),
        secret: id_of(&secret),
        admin_token: id_of(&viewer),
        hook: id_of(&hook),
        delivery: id_of(&delivery),
        flag: flags["data"][0]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

/// An answer without what differs from request to request: its id, and the slug that it was asked for.
fn plain(answer: &Answer, of: &Things) -> (u16, Value) {
    let mut body = answer.body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
        if let Some(Value::String(detail)) = body.get_mut("detail") {
            *detail = detail.replace(&format!("`{}`", of.slug), "`…`");
        }
    }
    (answer.status, body)
}

/// The routes, those first that make nothing which a later one could find.
pub(super) fn in_order() -> Vec<(String, String)> {
    let mut routes = routes();
    routes.sort();
    routes
}

async fn another_apps_token_learns_and_changes_nothing(engine: Engine) {
    let town = Town::start(engine).await;
    let before = town.seen_by_one().await;
    let missing = Things::missing();
    let mut refused = 0;
    for (method, route) in in_order() {
        let route = (method.as_str(), route.as_str());
        let theirs = town.ask(&town.two, route, &town.things).await;
        let nobodys = town.ask(&town.two, route, &missing).await;
        if nobodys.status >= 400 {
            let (theirs_plain, nobodys) = (plain(&theirs, &town.things), plain(&nobodys, &missing));
            assert_eq!(theirs_plain, nobodys, "{route:?}");
            refused += usize::from(theirs.status == 404);
        } else {
            // It is about the asker's own app; what it shows must be nothing of the other's.
            assert!(theirs.status < 300, "{route:?}: {}", theirs.body);
            let shown = theirs.body.to_string();
            for word in [
                town.things.customer.as_str(),
                "Ada",
                "ada@x.com",
                "evt_1",
                "\"one\"",
            ] {
                assert!(!shown.contains(word), "{route:?} shows {word}: {shown}");
            }
        }
    }
    assert!(refused > 30, "{refused} routes name something of an app");
    assert_eq!(town.seen_by_one().await, before);
}

async fn a_token_of_a_deleted_app_opens_nothing(engine: Engine) {
    // More failures than these from one address are too many.
    for routes in in_order().chunks(90) {
        let town = Town::start(engine).await;
        town.rig.delete("/apps/two").await.expect(204);
        for (method, route) in routes {
            let route = (method.as_str(), route.as_str());
            let answer = town.ask(&town.two, route, &town.things).await;
            assert_eq!(answer.status, 401, "{route:?}: {}", answer.body);
        }
    }
}

async fn a_viewer_reads_everything_and_changes_nothing(engine: Engine) {
    let town = Town::start(engine).await;
    let viewer = town.rig.admin("viewer", Some("one")).await;
    let before = town.seen_by_one().await;
    for (method, route) in in_order() {
        let asked = (method.as_str(), route.as_str());
        let answer = town.ask(&viewer, asked, &town.things).await;
        let reads = method == "GET" && route != EXPORT;
        if reads || QUESTIONS.contains(&route.as_str()) {
            assert_eq!(answer.status, 200, "{asked:?}: {}", answer.body);
        } else {
            assert_eq!(answer.body["code"], "role_insufficient", "{asked:?}");
        }
    }
    assert_eq!(town.seen_by_one().await, before);
}

async fn an_admin_does_nothing_of_an_owners(engine: Engine) {
    let town = Town::start(engine).await;
    let admin = town.rig.admin("admin", Some("one")).await;
    let mut refused = 0;
    for (method, route) in in_order() {
        let asked = (method.as_str(), route.as_str());
        let answer = town.ask(&admin, asked, &town.things).await;
        let insufficient = answer.body["code"] == "role_insufficient";
        assert_eq!(
            insufficient,
            is_owners(&method, &route),
            "{asked:?}: {}",
            answer.body
        );
        refused += usize::from(insufficient);
    }
    assert!(refused >= 8, "{refused}");
    town.rig
        .as_admin(ROOT, "GET", "/apps/one", None)
        .await
        .expect(200);
}

on_both_stores! {
    another_apps_token_learns_and_changes_nothing,
    a_token_of_a_deleted_app_opens_nothing,
    a_viewer_reads_everything_and_changes_nothing,
    an_admin_does_nothing_of_an_owners,
}
