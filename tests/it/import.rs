//! `tollgate import customers`, as a user runs it, beside a serving server.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollgate::domain::id::AppSlug;
use tollgate::provider::{STRIPE, other_spellings};

use crate::support::program::{err, out, tollgate};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::{TestServer, seconds_from_now, stripe_customer, stripe_event};

const PLAIN: &str = "from-elsewhere-0123456789-0123456789";
const HASHED: &str = "only-its-hash-is-known-0123456789-012";

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Imports these bytes; whatever comes of it, no token and no address is printed.
async fn import(server: &TestServer, table: &[u8], more: &[&str]) -> (Output, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), table).unwrap();
    let mut arguments = vec!["import", "customers", file.path().to_str().unwrap()];
    arguments.extend(more);
    let output = tollgate(&arguments, server.environment.clone()).await;
    let text = format!("{}{}", out(&output), err(&output));
    for secret in [PLAIN, HASHED, &sha256(HASHED), "@example.com"] {
        assert!(!text.contains(secret), "{text}");
    }
    (output, text)
}

async fn total(server: &TestServer) -> i64 {
    let (_, list) = server.get("/api/v1/customers").await;
    list["meta"]["total"].as_i64().unwrap()
}

async fn access(server: &TestServer, token: &str, package: &str) -> (u16, Value) {
    let url = format!("{}/access?package={package}&version=2.1.0", server.base);
    let answer = server.client.get(url).bearer_auth(token).send().await;
    let answer = answer.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn small() -> String {
    format!(
        "\u{feff}Email;name;external_id;package;constraint;billing;expires_at;token;token_sha256\r\n\
         Ada@example.com;\"Ada; & Co\";crm-1;acme/tool;^2.0;;;{PLAIN};\r\n\
         \r\n\
         ada@example.com;;;acme/forms;;ignore;2099-01-31T00:00:00Z;{PLAIN};\r\n\
         bea@example.com;;;;;;;;{}\r\n\
         bea@example.com;;crm-2;acme/tool;;;;;\r\n\
         ;;crm-2;acme/tool;;;;;\r\n\
         ;;;;;;;;\r\n\
         ; ;;;;;;;",
        sha256(HASHED)
    )
}

async fn a_table_is_taken_over_and_its_tokens_open(engine: Engine) {
    let server = TestServer::start(engine).await;
    let (output, text) = import(&server, small().as_bytes(), &["--dry-run"]).await;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("nothing was changed"), "{text}");
    assert!(text.contains("customers  2 new, 0 already there"), "{text}");
    assert_eq!(total(&server).await, 0);

    let (output, text) = import(&server, small().as_bytes(), &[]).await;
    assert!(output.status.success(), "{text}");
    for line in [
        "5 lines were imported",
        "customers  2 new, 0 already there",
        "grants     3 new, 0 already there",
        "tokens     2 new, 0 already there",
    ] {
        assert!(text.contains(line), "{text}");
    }
    for (token, package, expected) in [
        (PLAIN, "acme/tool", 200),
        (PLAIN, "acme/forms", 200),
        (HASHED, "acme/tool", 200),
        (HASHED, "acme/forms", 403),
    ] {
        let (status, answer) = access(&server, token, package).await;
        assert_eq!(status, expected, "{package}: {answer}");
    }
    let (_, ada) = server.get("/api/v1/customers/by-external/crm-1").await;
    assert_eq!(ada["name"], "Ada; & Co");
    let (_, bea) = server.get("/api/v1/customers/by-external/crm-2").await;
    let id = bea["id"].as_str().unwrap();
    let (_, tokens) = server.get(&format!("/api/v1/customers/{id}/tokens")).await;
    let token = &tokens["data"][0];
    assert_eq!(
        (&token["name"], &token["prefix"]),
        (&"default".into(), &"".into())
    );
    assert_eq!(tokens["meta"]["total"], 1);
    let (_, audit) = server.get("/api/v1/audit?actor=import").await;
    let operations = audit["data"].as_array().unwrap().iter();
    let operations: Vec<&str> = operations
        .filter_map(|it| it["operation"].as_str())
        .collect();
    assert_eq!(
        operations.iter().filter(|it| **it == "grant").count(),
        3,
        "{audit}"
    );
    assert_eq!(
        operations
            .iter()
            .filter(|it| **it == "token_create")
            .count(),
        2,
        "{audit}"
    );

    let (output, text) = import(&server, small().as_bytes(), &[]).await;
    assert!(output.status.success(), "{text}");
    for line in [
        "customers  0 new, 2 already there",
        "grants     0 new, 3 already there",
        "tokens     0 new, 2 already there",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let (_, again) = server.get("/api/v1/audit?actor=import").await;
    assert_eq!(again["meta"]["total"], audit["meta"]["total"]);
    server.stop().await;
}

async fn an_import_that_is_run_again_brings_no_token_back(engine: Engine) {
    let server = TestServer::start(engine).await;
    let texts =
        ["rotated", "revoked", "kept"].map(|it| format!("{it}-0123456789-0123456789-0123456789"));
    let mut table = "email,token\n".to_owned();
    for text in &texts {
        writeln!(table, "a@example.com,{text}").unwrap();
    }
    let (output, text) = import(&server, table.as_bytes(), &[]).await;
    assert!(output.status.success(), "{text}");
    let (_, customer) = server
        .get("/api/v1/customers/by-email?email=a@example.com")
        .await;
    let path = format!(
        "/api/v1/customers/{}/tokens",
        customer["id"].as_str().unwrap()
    );
    let (_, tokens) = server.get(&path).await;
    let id_of = |prefix: &str| {
        let tokens = tokens["data"].as_array().unwrap().iter();
        let mut ids = tokens.filter(|it| it["prefix"].as_str().unwrap().starts_with(prefix));
        ids.next().unwrap()["id"].as_str().unwrap().to_owned()
    };
    let rotate = format!("{path}/{}/rotate", id_of("rota"));
    let revoke = format!("{path}/{}", id_of("revo"));
    let (status, _) = server.call("POST", &rotate, Some(json!({}))).await;
    assert_eq!(status, 200);
    let (status, _) = server.call("DELETE", &revoke, None).await;
    assert_eq!(status, 204);

    for more in [&["--dry-run"][..], &[], &[]] {
        let (output, text) = import(&server, table.as_bytes(), more).await;
        assert!(output.status.success(), "{text}");
        assert!(text.contains("tokens     0 new, 1 already there"), "{text}");
        assert!(
            text.contains("2 tokens are left out: they were rotated or revoked here"),
            "{text}"
        );
    }
    let (_, tokens) = server.get(&path).await;
    assert_eq!(tokens["meta"]["total"], 2);
    for (text, expected) in texts.iter().zip([401, 401, 403]) {
        assert_eq!(
            access(&server, text, "acme/tool").await.0,
            expected,
            "{text}"
        );
    }
    server.stop().await;
}

async fn ids_that_customers_lack_are_taken_from_the_table(engine: Engine) {
    let server = TestServer::start(engine).await;
    let (_, text) = import(&server, b"email\na@example.com\nb@example.com\n", &[]).await;
    assert!(text.contains("2 new"), "{text}");
    let table = b"email,external_id,user_id\na@example.com,,u-1\nb@example.com,crm-2,\n\
        c@example.com,,u-3\nb@example.com,,u-2\n";
    let (output, text) = import(&server, table, &[]).await;
    assert!(output.status.success(), "{text}");
    let line = "customers  1 new, 2 given an id, 0 already there";
    assert!(text.contains(line), "{text}");
    for (user_id, email) in [("u-1", "a"), ("u-2", "b"), ("u-3", "c")] {
        let (_, list) = server
            .get(&format!("/api/v1/customers?user_id={user_id}"))
            .await;
        assert_eq!(list["meta"]["total"], 1, "{user_id}");
        assert_eq!(list["data"][0]["email"], format!("{email}@example.com"));
    }
    let (output, text) = import(&server, table, &[]).await;
    assert!(output.status.success(), "{text}");
    assert!(text.contains("customers  0 new, 3 already there"), "{text}");
    let table = b"email,user_id\na@example.com,u-9\n";
    let (output, text) = import(&server, table, &[]).await;
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("line 2, user_id: is not that of this customer (cust_"),
        "{text}"
    );
    server.stop().await;
}

async fn many_names_find_whom_each_finds_alone(engine: Engine) {
    let server = TestServer::start(engine).await;
    let contact = stripe_customer("cus_1", "A@example.com");
    let event = stripe_event("evt_1", "customer.created", seconds_from_now(0), contact);
    server.deliver(STRIPE.name, &event).await;
    for body in [
        json!({"name": "B", "external_id": "stripe_cus_2"}),
        json!({"email": "c@example.com", "external_id": "crm-1", "user_id": "u-1"}),
    ] {
        let (status, _) = server.call("POST", "/api/v1/customers", Some(body)).await;
        assert_eq!(status, 201);
    }
    let names = [
        "cus_1",
        "stripe_cus_1",
        "paddle_cus_1",
        "cus_2",
        "stripe_cus_2",
        "crm-1",
        "u-1",
        "nobody",
    ];
    let names: BTreeMap<String, Vec<String>> = names
        .into_iter()
        .map(|name| (name.to_owned(), other_spellings(name)))
        .collect();
    let app = AppSlug::default_app();
    let store = server.place.open().await;
    let mut tx = store.read().await.unwrap();
    let together = tx.customers_by_external(&app, &names).await.unwrap();
    for (name, others) in &names {
        let alone = tx.customer_find_by_external(&app, name, others).await;
        let alone = alone.unwrap().map(|it| it.id);
        assert_eq!(together.get(name).map(|it| it.id.clone()), alone, "{name}");
    }
    assert!(together.len() >= 5, "{:?}", together.keys());
    let emails = ["a", "c", "nobody"].map(|it| format!("{it}@example.com"));
    let together = tx.customers_by_email(&app, &emails).await.unwrap();
    for email in &emails {
        let alone = tx.customer_find_by_email(&app, email).await.unwrap();
        let alone = alone.map(|it| it.id);
        assert_eq!(
            together.get(email).map(|it| it.id.clone()),
            alone,
            "{email}"
        );
    }
    assert_eq!(together.len(), 2);
    drop(tx);
    store.close().await;
    server.stop().await;
}

async fn the_token_of_the_settings_is_no_token_of_a_customer(engine: Engine) {
    let mut server = TestServer::start(engine).await;
    let token = "owner-of-everything-0123456789-0123456789";
    server
        .environment
        .insert("ADMIN_TOKEN".into(), token.into());
    for (column, value) in [("token", token.to_owned()), ("token_sha256", sha256(token))] {
        let table = format!("email,{column}\na@example.com,{value}\n");
        let (output, text) = import(&server, table.as_bytes(), &[]).await;
        assert!(!output.status.success(), "{text}");
        let line = format!("line 2, {column}: is this server's ADMIN_TOKEN");
        assert!(text.contains(&line), "{text}");
        assert!(!text.contains(token), "{text}");
    }
    assert_eq!(total(&server).await, 0);
    server.stop().await;
}

async fn every_wrong_line_is_named_and_nothing_is_changed(engine: Engine) {
    let server = TestServer::start(engine).await;
    let other =
        format!("email,external_id,token\nold@example.com,old-1,{PLAIN}\nown@example.com,,\n");
    let (output, text) = import(&server, other.as_bytes(), &[]).await;
    assert!(output.status.success(), "{text}");
    let good = "good@example.com,,,,,,\n";
    let table = [
        "email,external_id,token,package,constraint,billing,expires_at\r\n".as_bytes(),
        good.as_bytes(),
        b"nobody,,,,,,\n",
        b",,,acme/tool,,,\n",
        b"a@example.com,,short,,,,\n",
        b"a@example.com,,,Acme Tool,^^1,maybe,tomorrow\n",
        b"a@example.com,,,,^1.0,,\n",
        format!("a@example.com,,{PLAIN},,,,\n").as_bytes(),
        b"own@example.com,old-1,,,,,\n",
        b"old@example.com,new-1,,,,,\n",
        b"other@example.com,old-1,,,,,\n",
        b"a@example.com,,,acme/tool,^1.0,,\n",
        b"a@example.com,,,acme/tool,^2.0,,\n",
        b"a@example.com\n",
        b"\xff@example.com,,,,,,\n",
        b",only-an-id,,,,,\n",
    ]
    .concat();
    for more in [&["--dry-run"][..], &[]] {
        let (output, text) = import(&server, &table, more).await;
        assert_eq!(output.status.code(), Some(1), "{text}");
        for line in [
            "line 3, email: must be an e-mail address",
            "line 4, email: is missing",
            "line 5, token: must be 32 to 255",
            "line 6, package: must be",
            "line 6, constraint: must be a version constraint",
            "line 7, constraint: must be empty",
            "line 8, token: is a token of another customer already",
            "line 9, email: is that of another customer (cust_",
            "line 10, external_id: is not that of the customer with this e-mail address",
            "line 11, email: is not that of the customer with this external id",
            "line 13, package: is granted on other terms in line 12",
            "line 14: has 1 values, and the first line has 7",
            "line 15, email: is not UTF-8",
            "line 16, email: is missing; a new customer needs a name",
            "nothing was changed",
        ] {
            let line = line.replace("line 6, package", "line 6, expires_at");
            let line = line.replace("line 6, constraint", "line 6, billing");
            let line = line.replace("must be a version constraint", "must be");
            assert!(text.contains(&line), "`{line}`:\n{text}");
        }
        assert!(!text.contains("line 2"), "{text}");
        assert_eq!(total(&server).await, 2);
    }
    let table = b"email,package,constraint\na@example.com,Acme Tool,^^1\n";
    let (_, text) = import(&server, table, &[]).await;
    assert!(
        text.contains("line 2, package: must be of the form"),
        "{text}"
    );
    assert!(
        text.contains("line 2, constraint: must be a version"),
        "{text}"
    );
    server.stop().await;
}

async fn a_separator_said_in_front_is_taken_and_its_line_passed_over(engine: Engine) {
    let server = TestServer::start(engine).await;
    // The header alone would be taken for one with commas.
    for (first, table) in [
        ("sep=;", "email;name\r\na@example.com;A\r\nb;B\r\n"),
        (
            "\u{feff}SEP=|",
            "email|name\r\na@example.com|A, of B\r\nb|B\r\n",
        ),
        ("\"sep=\t\"", "email\tname\na@example.com\tA; or B\nb\tB\n"),
    ] {
        let table = format!("{first}\r\n{table}");
        let (output, text) = import(&server, table.as_bytes(), &["--dry-run"]).await;
        assert!(!output.status.success(), "{first}: {text}");
        let line = "line 4, email: must be an e-mail address";
        assert!(text.contains(line), "{first}: {text}");
        let right = table.replace("\nb", "\nb@example.com");
        let (output, text) = import(&server, right.as_bytes(), &["--dry-run"]).await;
        assert!(output.status.success(), "{first}: {text}");
        assert!(text.contains("customers  2 new"), "{first}: {text}");
    }
    let table = b"sep=;\nemail,name\na@example.com,A\n";
    let (output, text) = import(&server, table, &["--dry-run", "--delimiter", ","]).await;
    assert!(output.status.success(), "what is asked for counts: {text}");
    server.stop().await;
}

async fn files_that_are_no_tables_are_refused_by_reason(engine: Engine) {
    let server = TestServer::start(engine).await;
    let endless = format!("email\n\"{}", "x".repeat(1_200_000));
    let named = format!("email,name\na@example.com,{}\n", "x".repeat(100_000));
    for (table, reason) in [
        (&b""[..], "the file is empty"),
        (
            b"email,mail\nx,y\n",
            "`mail` (number 2 of the first line) is unknown; the columns are name, email",
        ),
        (
            b"a@example.com,b\n",
            "the name of column 1 in the first line is unknown",
        ),
        (b"email,email\n", "`email` is there twice"),
        (
            b"email,,\na@example.com,,\nb@example.com,,b\n",
            "line 3: has a value in column 3, which has no name",
        ),
        (
            b"name,token\n",
            "neither a column `email` nor `external_id`",
        ),
        (b"\xff\xfee\0m\0", "UTF-16"),
        (endless.as_bytes(), "line 2 has more than 1048576 bytes"),
        (
            named.as_bytes(),
            "line 2, name: must be at most 255 bytes long",
        ),
        (
            b"external_id,n\xe4me\nx,y\n",
            "the name of column 2 in the first line is not UTF-8",
        ),
        (
            b"sep=;\nemail;name\na@example.com;\xe4\n",
            "line 3, name: is not UTF-8",
        ),
        (b"sep=;\n", "the file is empty"),
        (b"PK\x03\x04\x14\0\x06\0", "a spreadsheet's own format"),
        (
            b"email,name\na@example.com,\"A\nB\"\nb@example.com,\"cut\nof",
            "ends inside the quotation marks of the line that begins at line 4",
        ),
        (
            b"email,name\na@example.com,\"",
            "ends inside the quotation marks of the line that begins at line 2",
        ),
    ] {
        let (output, text) = import(&server, table, &[]).await;
        assert!(!output.status.success(), "{text}");
        assert!(text.contains(reason), "`{reason}`:\n{text}");
    }
    let (output, text) = import(&server, b"email\na@example.com\n", &["--app", "nowhere"]).await;
    assert!(!output.status.success());
    assert!(text.contains("there is no app `nowhere`"), "{text}");
    server.stop().await;
}

async fn ten_thousand_lines_come_in_and_stay_the_same(engine: Engine) {
    let server = TestServer::start(engine).await;
    let mut table = "external_id,email,token_sha256,package\n".to_owned();
    for n in 0..10_000 {
        let hash = sha256(&format!("token-{n}"));
        let (customer, package) = (n / 10, if n % 10 == 0 { "acme/tool" } else { "" });
        writeln!(
            table,
            "crm-{customer},c{customer}@example.com,{hash},{package}"
        )
        .unwrap();
    }
    // As one that was killed half-way leaves it.
    let half: String = table.split_inclusive('\n').take(5_001).collect();
    let (output, text) = import(&server, half.as_bytes(), &[]).await;
    assert!(output.status.success(), "{text}");
    let (output, text) = import(&server, table.as_bytes(), &[]).await;
    assert!(output.status.success(), "{text}");
    for line in [
        "customers  500 new, 500 already there",
        "grants     500 new, 500 already there",
        "tokens     5000 new, 5000 already there",
        "10000 lines imported",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(total(&server).await, 1_000);
    assert_eq!(access(&server, "token-9999", "acme/tool").await.0, 200);
    server.stop().await;
}

async fn what_was_killed_half_way_is_completed_by_the_next_run(engine: Engine) {
    let server = TestServer::start(engine).await;
    let mut table = String::from("external_id,email,name,package,constraint,token\n");
    for customer in 0..3_000 {
        writeln!(
            table,
            "crm-{customer},c{customer}@example.com,C,acme/tool,^2.0,token-{customer:032}"
        )
        .unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &table).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["import", "customers"])
        .arg(file.path())
        .env_clear()
        .envs(&server.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_begun = |list: &Value| list["meta"]["total"].as_i64() > Some(0);
    server.until("/api/v1/customers", is_begun).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let (output, text) = import(&server, table.as_bytes(), &[]).await;
    assert!(output.status.success(), "{text}");
    assert_eq!(total(&server).await, 3_000);
    let (_, text) = import(&server, table.as_bytes(), &[]).await;
    for kind in ["customers", "grants", "tokens"] {
        let line = format!("{kind:<10} 0 new, 3000 already there");
        assert!(text.contains(&line), "{text}");
    }
    let last = format!("token-{:032}", 2_999);
    assert_eq!(access(&server, &last, "acme/tool").await.0, 200);
    server.stop().await;
}

on_both_stores!(
    what_was_killed_half_way_is_completed_by_the_next_run,
    a_table_is_taken_over_and_its_tokens_open,
    every_wrong_line_is_named_and_nothing_is_changed,
    files_that_are_no_tables_are_refused_by_reason,
    a_separator_said_in_front_is_taken_and_its_line_passed_over,
    ten_thousand_lines_come_in_and_stay_the_same,
    an_import_that_is_run_again_brings_no_token_back,
    ids_that_customers_lack_are_taken_from_the_table,
    the_token_of_the_settings_is_no_token_of_a_customer,
    many_names_find_whom_each_finds_alone,
);
