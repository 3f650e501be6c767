//! What is refused of bodies: each fault by its field, all of them at once.

use serde_json::{Value, json};

use super::rig::{Answer, ROOT, Rig, path_of};
use crate::support::stores::{Engine, on_both_stores};

/// A body, and the fields that it is refused for.
type Row = (&'static str, Value, &'static [&'static str]);

/// The fields that a refusal names, in order.
#[track_caller]
pub(super) fn named(what: &str, answer: Answer, code: &str) -> Vec<String> {
    let problem = answer.refused(422, code);
    let errors = problem["errors"].as_array().unwrap();
    let fields = errors.iter().map(|it| {
        let message = it["message"].as_str().unwrap();
        assert!(!message.is_empty(), "{what}: {problem}");
        it["field"].as_str().unwrap().to_owned()
    });
    let mut fields: Vec<String> = fields.collect();
    fields.sort();
    fields
}

async fn refuses_bodies(rig: &Rig, method: &str, path: &str, table: &[Row]) {
    for (what, body, fields) in table {
        let what = format!("{method} {path}, {what}");
        let mut body = body.clone();
        if method == "POST" && path.starts_with("/apps/default/customers") {
            // Without an address it would be refused for that too.
            let fields = body.as_object_mut().unwrap();
            fields.entry("email").or_insert("a@x.com".into());
        }
        let answer = rig.as_admin(ROOT, method, path, Some(body)).await;
        let mut expected = fields.to_vec();
        expected.sort_unstable();
        assert_eq!(named(&what, answer, "body_invalid"), expected, "{what}");
    }
}

fn long() -> String {
    "x".repeat(256)
}

/// As deep as it must not be.
fn nested() -> Value {
    (0..9).fold(json!(1), |inner, _| json!({"a": inner}))
}

async fn each_fault_of_a_customer_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    let known = rig.customer(json!({"name": "Known"})).await;
    let table = [
        ("address", json!({"email": "nobody"}), &["email"] as &[_]),
        (
            "address with a name",
            json!({"email": "A <a@x.com>"}),
            &["email"],
        ),
        (
            "long address",
            json!({"email": format!("{}@x.com", long())}),
            &["email"],
        ),
        ("long name", json!({"name": long()}), &["name"]),
        ("blank name", json!({"name": " "}), &["name"]),
        (
            "control character",
            json!({"name": "a", "phone": "1\u{7}2"}),
            &["phone"],
        ),
        ("U+0000", json!({"name": "a\u{0}b"}), &["name"]),
        (
            "U+0000 deep inside",
            json!({"name": "a", "metadata": {"k": ["\u{0}"]}}),
            &["metadata.k[0]"],
        ),
        (
            "wrong types",
            json!({"name": 1, "email": [], "metadata": "x"}),
            &["name", "email", "metadata"],
        ),
        (
            "metadata that is a list",
            json!({"name": "a", "metadata": []}),
            &["metadata"],
        ),
        (
            "large metadata",
            json!({"name": "a", "metadata": {"k": "x".repeat(16 * 1024)}}),
            &["metadata"],
        ),
        (
            "deep metadata",
            json!({"name": "a", "metadata": nested()}),
            &["metadata"],
        ),
        (
            "unknown fields, and others that are wrong",
            json!({"nmae": "a", "emial": "b", "name": " ", "email": "nobody", "phone": 1,
                "user_id": "\n", "external_id": "", "tax_id": long(), "metadata": 1}),
            &[
                "nmae",
                "emial",
                "name",
                "email",
                "phone",
                "user_id",
                "external_id",
                "tax_id",
                "metadata",
            ],
        ),
        (
            "every line of the address",
            json!({"name": "a", "billing_address_line1": "", "billing_address_line2": long(),
                "billing_address_city": "\t", "billing_address_state": 1,
                "billing_address_postal_code": [], "billing_address_country": "\u{0}"}),
            &[
                "billing_address_line1",
                "billing_address_line2",
                "billing_address_city",
                "billing_address_state",
                "billing_address_postal_code",
                "billing_address_country",
            ],
        ),
    ];
    let update = path_of(&known);
    let of_an_app = format!("/apps/default{update}");
    for (method, path) in [
        ("POST", "/customers"),
        ("POST", "/customers/get-or-create"),
        ("PUT", &update),
        ("PATCH", &update),
        ("POST", "/apps/default/customers"),
        ("POST", "/apps/default/customers/get-or-create"),
        ("PATCH", &of_an_app),
    ] {
        refuses_bodies(&rig, method, path, &table).await;
    }
    assert_eq!(rig.get("/customers").await.expect(200)["meta"]["total"], 1);
}

async fn each_fault_of_a_token_or_operation_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = path_of(&rig.customer(json!({"name": "Known"})).await);
    let table = [
        ("nothing", json!({}), &["name"] as &[_]),
        (
            "a past end",
            json!({"name": "t", "expires_at": "2020-01-01T00:00:00Z"}),
            &["expires_at"],
        ),
        (
            "all that can be",
            json!({"name": "", "scope": "A B", "packages": ["acme/*", "A"], "expires_at": "soon"}),
            &["name", "scope", "packages[1]", "expires_at"],
        ),
        (
            "wrong types and an unknown field",
            json!({"name": 1, "packages": "acme/*", "expires": 2}),
            &["name", "packages", "expires"],
        ),
        (
            "too many patterns",
            json!({"name": "t", "packages": vec!["a/b"; 101]}),
            &["packages"],
        ),
    ];
    refuses_bodies(&rig, "POST", &format!("{customer}/tokens"), &table).await;
    for operation in ["suspend", "expire"] {
        let table = [
            (
                "a long reason",
                json!({"reason": long()}),
                &["reason"] as &[_],
            ),
            (
                "two unknown fields",
                json!({"raeson": "r", "why": "r"}),
                &["raeson", "why"],
            ),
        ];
        refuses_bodies(&rig, "POST", &format!("{customer}/{operation}"), &table).await;
    }
    let table = [
        ("a time", json!({"at": "yesterday"}), &["at"] as &[_]),
        (
            "versions",
            json!({"versions": [{"package": "A", "version": "^1"}, {"package": "a/b", "x": 1}]}),
            &["versions[1].version", "versions[1].x"],
        ),
        (
            "what versions say",
            json!({"versions": [{"package": "A", "version": "^1"}, {"package": "a/b", "version": ""}]}),
            &[
                "versions[0].package",
                "versions[0].version",
                "versions[1].version",
            ],
        ),
    ];
    refuses_bodies(&rig, "POST", &format!("{customer}/freeze"), &table).await;
}

async fn each_fault_of_a_grant_plan_or_release_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    let customer = path_of(&rig.customer(json!({"name": "Known"})).await);
    let table = [
        ("nothing", json!({}), &["package"] as &[_]),
        (
            "both",
            json!({"package": "Acme", "constraint": "^"}),
            &["package", "constraint"],
        ),
        (
            "wrong types",
            json!({"package": 1, "constraint": 2, "x": 3}),
            &["package", "constraint", "x"],
        ),
    ];
    refuses_bodies(&rig, "POST", &format!("{customer}/packages"), &table).await;
    let table = [
        ("nothing", json!({}), &["packages"] as &[_]),
        (
            "several",
            json!({"packages": [{"package": "a/b"}, {"package": "B", "constraint": "^"}, {"package": "a/b"}]}),
            &[
                "packages[1].package",
                "packages[1].constraint",
                "packages[2].package",
            ],
        ),
        (
            "their form",
            json!({"packages": [{"constraint": "*"}, {"package": "a/b", "version": "1"}]}),
            &["packages[0].package", "packages[1].version"],
        ),
        (
            "too many",
            json!({"packages": vec![json!({"package": "a/b"}); 1_001]}),
            &["packages"],
        ),
    ];
    refuses_bodies(&rig, "PUT", &format!("{customer}/packages"), &table).await;
    refuses_bodies(&rig, "PUT", "/plans/stripe/price_1", &table).await;
    let table = [
        ("nothing", json!({}), &["version"] as &[_]),
        (
            "one",
            json!({"version": "^1", "released_at": "now"}),
            &["version", "released_at"],
        ),
        (
            "several",
            json!({"releases": [{"version": "x.y"}, {"version": "1.0", "released_at": "now"}]}),
            &["releases[0].version", "releases[1].released_at"],
        ),
        (
            "their form",
            json!({"releases": [{"version": 1}, {"vresion": "1.0"}]}),
            &[
                "releases[0].version",
                "releases[1].version",
                "releases[1].vresion",
            ],
        ),
    ];
    refuses_bodies(&rig, "POST", "/packages/acme/tool/releases", &table).await;
    assert_eq!(rig.get("/plans").await.expect(200)["meta"]["total"], 0);
}

async fn each_fault_of_an_app_secret_or_admin_token_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    let table = [
        ("nothing", json!({}), &["slug", "name"] as &[_]),
        (
            "both",
            json!({"slug": "A b", "name": "\u{1b}"}),
            &["slug", "name"],
        ),
        (
            "wrong types",
            json!({"slug": 1, "name": 2, "x": 3}),
            &["slug", "name", "x"],
        ),
        (
            "a long slug",
            json!({"slug": "a".repeat(64), "name": "a"}),
            &["slug"],
        ),
    ];
    refuses_bodies(&rig, "POST", "/apps", &table).await;
    let table = [
        ("nothing", json!({}), &["name"] as &[_]),
        ("a blank name", json!({"name": " "}), &["name"]),
        ("a slug stays", json!({"name": "a", "slug": "b"}), &["slug"]),
    ];
    refuses_bodies(&rig, "PATCH", "/apps/default", &table).await;
    let table = [
        ("nothing", json!({}), &["secret"] as &[_]),
        (
            "all that can be",
            json!({"secret": " ", "mode": "both", "expires_at": "2020-01-01T00:00:00Z"}),
            &["secret", "mode", "expires_at"],
        ),
        (
            "wrong types",
            json!({"secret": 1, "mode": 2, "x": 3}),
            &["secret", "mode", "x"],
        ),
    ];
    refuses_bodies(
        &rig,
        "POST",
        "/apps/default/endpoints/stripe/secrets",
        &table,
    )
    .await;
    let table = [
        ("nothing", json!({}), &["name", "role"] as &[_]),
        (
            "all that can be",
            json!({"name": "", "role": "king", "app": "No App", "expires_in_days": 0}),
            &["name", "role", "app", "expires_in_days"],
        ),
        (
            "wrong types",
            json!({"name": 1, "role": 2, "expires_in_days": -1}),
            &["name", "role", "expires_in_days"],
        ),
    ];
    refuses_bodies(&rig, "POST", "/admin-tokens", &table).await;
    assert_eq!(rig.get("/apps").await.expect(200)["meta"]["total"], 1);
}

async fn each_fault_of_a_question_about_constraints_is_named(engine: Engine) {
    let rig = Rig::start(engine).await;
    let table = [
        ("nothing", json!({}), &["constraint", "versions"] as &[_]),
        (
            "wrong types",
            json!({"constraint": 1, "versions": "1.0", "x": 2}),
            &["constraint", "versions", "x"],
        ),
        (
            "a wrong version",
            json!({"constraint": "*", "versions": ["1.0", 2, 3]}),
            &["versions[1]", "versions[2]"],
        ),
        (
            "too many",
            json!({"constraint": "*", "versions": vec!["1"; 10_001]}),
            &["versions"],
        ),
    ];
    refuses_bodies(&rig, "POST", "/constraints/evaluate", &table).await;
    let wrong = json!({"constraint": "^", "versions": []});
    let wrong = rig.post("/constraints/evaluate", wrong).await;
    assert_eq!(
        named("a constraint", wrong, "constraint_invalid"),
        ["constraint"]
    );
}

on_both_stores! {
    each_fault_of_a_customer_is_named,
    each_fault_of_a_token_or_operation_is_named,
    each_fault_of_a_grant_plan_or_release_is_named,
    each_fault_of_an_app_secret_or_admin_token_is_named,
    each_fault_of_a_question_about_constraints_is_named,
}
