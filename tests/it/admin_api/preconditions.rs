//! `ETag` and `If-Match`: two admins do not overwrite each other. And `Location` of what was made.

use std::collections::BTreeSet;

use futures::future::join;
use serde_json::{Value, json};

use super::rig::{Answer, NOW, ROOT, Rig, id_of, path_of};
use crate::support::description::document;
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{stripe_customer, stripe_event};

/// No tag of anything.
const OLD: &str = "\"00000000000000000000000000000000\"";

impl Rig {
    /// A call that is meant for one state only; the path is whole.
    async fn only_if(&self, tags: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {ROOT}");
        let headers = [("authorization", bearer.as_str()), ("if-match", tags)];
        self.send(method, path, &headers, body).await
    }

    /// Any call of the owner; the path is whole.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {ROOT}");
        let headers = [("authorization", bearer.as_str())];
        self.send(method, path, &headers, body).await
    }

    /// The tag of what is at a path.
    async fn tag(&self, path: &str) -> String {
        let answer = self.call("GET", path, None).await;
        let tag = answer.header("etag").to_owned();
        assert!(tag.len() == 34 && tag.starts_with('"'), "{path}: {tag}");
        answer.expect(200);
        tag
    }
}

/// A plan, the policy, and a customer in each dialect: path, method, and two different bodies.
async fn things(rig: &Rig) -> Vec<(String, &'static str, Value, Value)> {
    let ada = rig
        .customer(json!({"name": "Ada", "email": "a@x.com"}))
        .await;
    let plan = json!({"packages": [{"package": "a/b", "constraint": "^1.0"}]});
    let other = json!({"packages": [], "counts": true});
    rig.put("/plans/stripe/price_1", plan.clone())
        .await
        .expect(201);
    let names = (json!({"name": "Eve"}), json!({"name": "Zoe"}));
    let (id, (eve, zoe)) = (id_of(&ada), names);
    let policies = (json!({"on_end": "expire"}), json!({"on_end": "freeze"}));
    vec![
        (
            format!("/api/v1/customers/{id}"),
            "PATCH",
            eve.clone(),
            zoe.clone(),
        ),
        (
            format!("/api/v1/customers/{id}"),
            "PUT",
            eve.clone(),
            zoe.clone(),
        ),
        (
            format!("/api/v1/apps/default/customers/{id}"),
            "PATCH",
            eve.clone(),
            zoe.clone(),
        ),
        (format!("/api/customers/{id}"), "POST", eve, zoe),
        (
            "/api/v1/plans/stripe/price_1".to_owned(),
            "PUT",
            other,
            plan,
        ),
        ("/api/v1/policy".to_owned(), "PUT", policies.0, policies.1),
    ]
}

async fn a_change_of_a_state_that_is_gone_is_refused(engine: Engine) {
    let rig = Rig::start(engine).await;
    for (path, method, one, other) in things(&rig).await {
        let place = format!("{method} {path}");
        let read = rig.tag(&path).await;
        assert_eq!(rig.tag(&path).await, read, "{place}: read twice");
        let changed = rig.only_if(&read, method, &path, Some(one)).await;
        let now = changed.header("etag").to_owned();
        changed.expect(200);
        assert_ne!(now, read, "{place}");
        assert_eq!(
            rig.tag(&path).await,
            now,
            "{place}: the answer has the new tag"
        );

        let before = rig.call("GET", &path, None).await.body;
        for tags in [&read, OLD, &format!("W/{now}"), &format!("{OLD}, {read}")] {
            let refused = rig.only_if(tags, method, &path, Some(other.clone())).await;
            assert_eq!(refused.status, 412, "{place} {tags}: {}", refused.body);
            if path.starts_with("/api/customers") {
                assert!(refused.body["error"].is_string(), "{}", refused.body);
            } else {
                refused.refused(412, "precondition_failed");
            }
        }
        for tags in ["", "x", "\"x", "\"a\" \"b\"", "*, \"a\""] {
            let refused = rig.only_if(tags, method, &path, Some(other.clone())).await;
            assert_eq!(refused.status, 400, "{place} {tags}: {}", refused.body);
        }
        assert_eq!(rig.call("GET", &path, None).await.body, before, "{place}");

        let several = format!("{OLD}, {now}");
        rig.only_if(&several, method, &path, Some(other.clone()))
            .await
            .expect(200);
        rig.only_if("*", method, &path, Some(other))
            .await
            .expect(200);
    }
}

async fn of_two_admins_with_the_same_tag_one_is_refused(engine: Engine) {
    let rig = Rig::start(engine).await;
    for (path, method, one, other) in things(&rig).await {
        // So that both change something.
        rig.call(method, &path, Some(other.clone()))
            .await
            .expect(200);
        let before = rig.call("GET", &path, None).await;
        let tag = before.header("etag").to_owned();
        let third = if path.contains("plans") {
            json!({"packages": [], "counts": false})
        } else if path.contains("policy") {
            json!({"on_pause": "keep"})
        } else {
            json!({"name": "Ida"})
        };
        let (a, b) = join(
            rig.only_if(&tag, method, &path, Some(one)),
            rig.only_if(&tag, method, &path, Some(third)),
        )
        .await;
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(
            statuses,
            [200, 412],
            "{method} {path}: {} {}",
            a.body,
            b.body
        );
    }
}

async fn a_tag_is_that_of_what_is_shown(engine: Engine) {
    let rig = Rig::selling(engine).await;
    let body = json!({"name": "Ada", "metadata": {"b": 1.50, "a": [1e2, {"z": 1, "y": -0.0}]}});
    let made = rig.call("POST", "/api/v1/customers", Some(body)).await;
    let (first, path) = (
        made.header("etag").to_owned(),
        made.header("location").to_owned(),
    );
    let ada = made.expect(201);
    assert_eq!(path, format!("/api/v1{}", path_of(&ada)));
    assert_eq!(rig.tag(&path).await, first, "when it was made");
    rig.pass(86_400);
    assert_eq!(rig.tag(&path).await, first, "a day later");
    let nothing = rig.only_if(&first, "PATCH", &path, Some(json!({}))).await;
    assert_eq!(nothing.header("etag"), first, "a change of nothing");

    // Acts, and what others do to it.
    let act = |name: &str| format!("{path}/{name}");
    let held = rig
        .only_if(
            &first,
            "POST",
            &act("suspend"),
            Some(json!({"reason": "x"})),
        )
        .await;
    let held_tag = held.header("etag").to_owned();
    held.expect(200);
    assert_eq!(rig.tag(&path).await, held_tag);
    for name in ["suspend", "reactivate", "expire", "freeze"] {
        let stale = rig.only_if(&first, "POST", &act(name), None).await;
        stale.refused(412, "precondition_failed");
    }
    rig.only_if(&held_tag, "POST", &act("reactivate"), None)
        .await
        .expect(200);
    assert_eq!(rig.tag(&path).await, first, "as it was");

    let link = json!({"name": "Bob", "external_id": "stripe_cus_1"});
    let bob = rig.customer(link).await;
    let bobs = format!("/api/v1{}", path_of(&bob));
    let before = rig.tag(&bobs).await;
    let account = stripe_customer("cus_1", "bob@x.com");
    rig.happens(&stripe_event("evt_1", "customer.created", NOW - 9, account))
        .await;
    assert_ne!(rig.tag(&bobs).await, before, "billing gave an address");
    let stale = rig.only_if(&before, "DELETE", &bobs, None).await;
    stale.refused(412, "precondition_failed");
    let now = rig.tag(&bobs).await;
    rig.only_if(&now, "DELETE", &bobs, None).await.expect(204);
    rig.only_if(&now, "PATCH", &bobs, Some(json!({"name": "x"})))
        .await
        .refused(404, "customer_not_found");
}

async fn a_plan_that_is_not_there_matches_no_tag(engine: Engine) {
    let rig = Rig::start(engine).await;
    let (path, body) = ("/api/v1/plans/stripe/price_1", json!({"packages": []}));
    for tags in ["*", OLD] {
        let refused = rig.only_if(tags, "PUT", path, Some(body.clone())).await;
        refused.refused(412, "precondition_failed");
        rig.only_if(tags, "DELETE", path, None)
            .await
            .refused(404, "plan_not_found");
    }
    let made = rig.call("PUT", path, Some(body)).await;
    let tag = made.header("etag").to_owned();
    made.expect(201);
    assert_eq!(rig.tag(path).await, tag);
    rig.only_if(OLD, "DELETE", path, None)
        .await
        .refused(412, "precondition_failed");
    rig.only_if(&tag, "DELETE", path, None).await.expect(204);

    // A plan of the settings, and what waits behind it.
    let rig = Rig::start(engine).await;
    rig.restarts_with_plan(&["a/b"]).await;
    let path = "/api/v1/plans/stripe/price_basic".to_owned();
    let alone = rig.tag(&path).await;
    let waiting = json!({"packages": [], "counts": true});
    let put = rig.only_if(&alone, "PUT", &path, Some(waiting)).await;
    let both = put.header("etag").to_owned();
    put.expect(200);
    assert_ne!(both, alone);
    assert_eq!(rig.tag(&path).await, both);
    rig.only_if(&alone, "DELETE", &path, None)
        .await
        .refused(412, "precondition_failed");
    rig.only_if(&both, "DELETE", &path, None).await.expect(204);
    assert_eq!(rig.tag(&path).await, alone);
}

async fn a_plan_may_have_a_name(engine: Engine) {
    let rig = Rig::start(engine).await;
    let grant = json!({"package": "a/b", "constraint": "*"});
    let named = |name: Value| json!({"name": name, "packages": [grant]});
    let path = "/plans/stripe/price_1";
    let made = rig.put(path, named(json!("Pro, yearly"))).await.expect(201);
    assert_eq!(made["name"], "Pro, yearly");
    assert_eq!(
        rig.get("/plans").await.expect(200)["data"][0]["name"],
        "Pro, yearly"
    );
    let again = rig.put(path, named(json!("Pro, yearly"))).await.expect(200);
    assert_eq!(again["changed"], false);
    let before = rig.tag("/api/v1/plans/stripe/price_1").await;
    let other = rig.put(path, named(json!("Team"))).await.expect(200);
    assert_eq!(
        (&other["name"], &other["changed"]),
        (&json!("Team"), &json!(true))
    );
    assert_ne!(rig.tag("/api/v1/plans/stripe/price_1").await, before);
    let none = rig
        .put(path, json!({"packages": [grant]}))
        .await
        .expect(200);
    assert_eq!(
        (&none["name"], &none["changed"]),
        (&Value::Null, &json!(true))
    );
    for wrong in [json!(""), json!("a\nb"), json!("x".repeat(256)), json!(1)] {
        let refused = rig
            .put(path, named(wrong.clone()))
            .await
            .refused(422, "body_invalid");
        assert_eq!(refused["errors"][0]["field"], "name", "{wrong}");
    }
    let sql = "SELECT CAST(details AS TEXT) FROM audit WHERE operation = 'plan_put'";
    let entries = rig.place.texts(sql).await;
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert!(
        entries
            .iter()
            .any(|it| it.contains("Pro, yearly") && it.contains("Team"))
    );

    // It waits behind the settings like the rest.
    let rig = Rig::start(engine).await;
    rig.restarts_with_plan(&["a/b"]).await;
    let path = "/plans/stripe/price_basic";
    let put = rig.put(path, named(json!("Pro"))).await.expect(200);
    assert_eq!(
        (&put["name"], &put["waiting"]["name"]),
        (&Value::Null, &json!("Pro"))
    );
    assert_eq!(rig.get(path).await.expect(200)["waiting"]["name"], "Pro");
}

/// What no state would take is wrong, whatever was read before.
async fn what_is_wrong_by_itself_comes_before_the_tag(engine: Engine) {
    let rig = Rig::start(engine).await;
    let body = json!({"on_end": "explode"});
    let refused = rig.only_if(OLD, "PUT", "/api/v1/policy", Some(body)).await;
    let problem = refused.refused(422, "body_invalid");
    assert_eq!(problem["errors"][0]["field"], "on_end");
}

/// The tag belongs to a request as its body does.
async fn a_repetition_with_another_tag_is_another_request(engine: Engine) {
    let rig = Rig::start(engine).await;
    let ada = rig.customer(json!({"name": "Ada"})).await;
    let path = format!("/api/v1{}/suspend", path_of(&ada));
    let bearer = format!("Bearer {ROOT}");
    for (tags, status) in [(OLD, 412), (OLD, 412), ("*", 422)] {
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", "k"),
            ("if-match", tags),
        ];
        rig.send("POST", &path, &headers, None).await.expect(status);
    }
}

/// The routes that answer 201, each with what makes something new.
#[expect(clippy::too_many_lines, reason = "most of it is a table")]
fn makers(customer: &str, key: &Value) -> Vec<(&'static str, &'static str, String, Value)> {
    let api = "/api/v1";
    let at = |path: &str| format!("{api}{path}");
    let grant = json!({"package": "acme/tool", "constraint": "*"});
    let package = json!({"versions": "semver"});
    let release = json!({"version": "1.0.0"});
    let license = json!({"customer_id": customer, "product": "tool"});
    let person = |name: &str| json!({"name": name, "email": format!("{name}@x.com")});
    vec![
        ("POST", "/api/v1/customers", at("/customers"), person("a")),
        (
            "POST",
            "/api/v1/customers/get-or-create",
            at("/customers/get-or-create"),
            person("b"),
        ),
        (
            "POST",
            "/api/v1/apps/{slug}/customers",
            at("/apps/default/customers"),
            person("c"),
        ),
        (
            "POST",
            "/api/v1/apps/{slug}/customers/get-or-create",
            at("/apps/default/customers/get-or-create"),
            person("d"),
        ),
        (
            "POST",
            "/api/customers",
            "/api/customers".to_owned(),
            person("e"),
        ),
        (
            "POST",
            "/api/v1/apps",
            at("/apps"),
            json!({"slug": "acme", "name": "Acme"}),
        ),
        (
            "POST",
            "/api/v1/admin-tokens",
            at("/admin-tokens"),
            json!({"name": "x", "role": "viewer"}),
        ),
        (
            "POST",
            "/api/v1/apps/{slug}/endpoints/{provider}/secrets",
            at("/apps/default/endpoints/stripe/secrets"),
            json!({"secret": "whsec_x"}),
        ),
        (
            "POST",
            "/api/v1/customers/{id}/tokens",
            at(&format!("/customers/{customer}/tokens")),
            json!({"name": "ci"}),
        ),
        (
            "POST",
            "/api/v1/customers/{id}/packages",
            at(&format!("/customers/{customer}/packages")),
            grant,
        ),
        (
            "POST",
            "/api/v1/apps/{slug}/hooks",
            at("/apps/default/hooks"),
            json!({"url": "https://acme.example/hook"}),
        ),
        ("POST", "/api/v1/licenses", at("/licenses"), license.clone()),
        (
            "POST",
            "/api/v1/apps/{slug}/licenses",
            at("/apps/default/licenses"),
            license,
        ),
        (
            "POST",
            "/api/v1/licenses/activate",
            at("/licenses/activate"),
            json!({"key": key, "fingerprint": "one"}),
        ),
        (
            "POST",
            "/api/v1/apps/{slug}/licenses/activate",
            at("/apps/default/licenses/activate"),
            json!({"key": key, "fingerprint": "two"}),
        ),
        (
            "PUT",
            "/api/v1/packages/{package}",
            at("/packages/@acme%2Fone"),
            package.clone(),
        ),
        (
            "PUT",
            "/api/v1/packages/{vendor}/{name}",
            at("/packages/@acme/two"),
            package,
        ),
        (
            "POST",
            "/api/v1/packages/{package}/releases",
            at("/packages/acme%2Ftool/releases"),
            release.clone(),
        ),
        (
            "POST",
            "/api/v1/packages/{vendor}/{name}/releases",
            at("/packages/acme/other/releases"),
            json!({"releases": [release]}),
        ),
        (
            "PUT",
            "/api/v1/plans/{provider}/{price_id}",
            at("/plans/stripe/our%2Fkey"),
            json!({"packages": []}),
        ),
        (
            "PUT",
            "/api/v1/plans/{provider}/{account}/{price_id}",
            at("/plans/stripe/acct_1/price_1"),
            json!({"packages": []}),
        ),
    ]
}

async fn what_was_made_is_where_its_location_says(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = id_of(&rig.customer(json!({"name": "Ada"})).await);
    let license = json!({"customer_id": customer, "product": "tool"});
    let license = rig.post("/licenses", license).await.expect(201);
    let makers = makers(&customer, &license["key"]);
    let paths = document()["paths"].as_object().unwrap().iter();
    let described: BTreeSet<(String, &str)> = paths
        .flat_map(|(path, item)| {
            let operations = item.as_object().unwrap().iter();
            let making = operations.filter(|(_, it)| it["responses"].get("201").is_some());
            making.map(move |(method, it)| {
                let headers = &it["responses"]["201"]["headers"];
                assert!(headers["Location"].is_object(), "{method} {path}");
                (method.to_uppercase(), path.as_str())
            })
        })
        .collect();
    let tried: BTreeSet<(String, &str)> = makers
        .iter()
        .map(|(method, route, ..)| ((*method).to_owned(), *route))
        .collect();
    assert_eq!(tried, described, "say in `makers` how to make it");

    for (method, route, path, body) in makers {
        let made = rig.call(method, &path, Some(body)).await;
        let location = made.header("location").to_owned();
        let headers = &document()["paths"][route][method.to_lowercase()]["responses"]["201"];
        let is_told = headers["headers"]["ETag"].is_object();
        assert_eq!(!made.header("etag").is_empty(), is_told, "{method} {route}");
        let made = made.expect(201);
        let found = rig.call("GET", &location, None).await.expect(200);
        let made = match made.get("data") {
            Some(Value::Array(listed)) => &listed[0],
            Some(data) => data,
            None => &made,
        };
        let made = made.get("customer").unwrap_or(made);
        // A list may be asked about what it lists.
        let name = ["id", "version", "package", "price_id", "slug"];
        let name = name.iter().find_map(|name| made[*name].as_str());
        let name = name.unwrap_or_else(|| panic!("{route}: {made}"));
        let is_there = found.to_string().contains(name);
        assert!(is_there, "{route}: {location}: {found}");
    }
}

on_both_stores! {
    a_change_of_a_state_that_is_gone_is_refused,
    of_two_admins_with_the_same_tag_one_is_refused,
    a_tag_is_that_of_what_is_shown,
    a_plan_that_is_not_there_matches_no_tag,
    a_plan_may_have_a_name,
    what_is_wrong_by_itself_comes_before_the_tag,
    a_repetition_with_another_tag_is_another_request,
    what_was_made_is_where_its_location_says,
}
