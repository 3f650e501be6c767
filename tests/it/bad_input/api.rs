//! Bodies and queries of the admin API.

use serde_json::json;

use super::rig::{Row, call, owner, raw, request};

pub(super) fn rows(known: &str) -> Vec<Row> {
    [
        not_json(),
        other_types(),
        wrong_fields(known),
        queries(),
        keys(),
    ]
    .concat()
}

fn nested(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// What is no JSON.
fn not_json() -> Vec<Row> {
    let row = |what, body: &[u8]| {
        raw(
            what,
            call("POST /api/v1/customers", body),
            400,
            "body_not_json",
        )
    };
    let utf16: Vec<u8> = r#"{"name":"A"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let list = "[".repeat(100_000);
    vec![
        row("an empty body", b""),
        row("blanks", b"  \r\n"),
        row("a brace", b"{"),
        row("a text that does not end", br#"{"name":"A"#),
        row("a comma too many", br#"{"name":"A",}"#),
        row("single quotes", b"{'name':'A'}"),
        row("no quotes", b"{name:1}"),
        row("a comment", br#"{"name":"A"/**/}"#),
        row("two objects", br#"{"name":"A"}{"name":"B"}"#),
        row("a byte behind it", br#"{"name":"A"} x"#),
        row("NaN", br#"{"name":NaN}"#),
        row("Infinity", br#"{"metadata":{"n":-Infinity}}"#),
        row(
            "a number beyond a double",
            br#"{"name":"A","metadata":{"n":1e999}}"#,
        ),
        row("a number in hex", br#"{"name":0x1}"#),
        row("a leading zero", br#"{"name":01}"#),
        row("a lone surrogate", br#"{"name":"\ud800"}"#),
        row(
            "surrogates in the wrong order",
            br#"{"name":"\udc00\ud800"}"#,
        ),
        row("an unknown escape", br#"{"name":"\x41"}"#),
        row("a line break in a text", b"{\"name\":\"A\nB\"}"),
        row("bytes that are no UTF-8", b"{\"name\":\"\xff\"}"),
        row("an overlong UTF-8", b"{\"name\":\"\xc0\x80\"}"),
        row("a byte order mark", b"\xef\xbb\xbf{\"name\":\"A\"}"),
        row("UTF-16", &utf16),
        row("200 levels", nested(200).as_bytes()),
        row("100,000 lists", list.as_bytes()),
    ]
}

/// Bodies that say to be something else.
fn other_types() -> Vec<Row> {
    let owner = owner();
    let row = |what, headers: &[(&str, &str)], body: &[u8], status, code| {
        let headers = [&[("Authorization", owner.as_str())], headers].concat();
        let request = request("POST /api/v1/customers", &headers, body);
        raw(what, request, status, code)
    };
    let typed = |what, content_type| {
        let header = [("Content-Type", content_type)];
        row(
            what,
            &header,
            br#"{"name":"A"}"#,
            415,
            "unsupported_media_type",
        )
    };
    let json = ("Content-Type", "application/json");
    vec![
        row(
            "no type",
            &[],
            br#"{"name":"A"}"#,
            415,
            "unsupported_media_type",
        ),
        typed("text", "text/plain"),
        typed("a form", "application/x-www-form-urlencoded"),
        typed("parts", "multipart/form-data; boundary=x"),
        typed("text/json", "text/json"),
        typed("what only begins like JSON", "application/jsonp"),
        typed("an empty type", ""),
        row(
            "gzip",
            &[json, ("Content-Encoding", "gzip")],
            b"\x1f\x8b\x08\0\0\0\0\0",
            415,
            "unsupported_media_type",
        ),
        row(
            "gzip that is none",
            &[json, ("Content-Encoding", "gzip")],
            br#"{"name":"A"}"#,
            415,
            "unsupported_media_type",
        ),
        row(
            "brotli",
            &[json, ("Content-Encoding", "identity, br")],
            br#"{"name":"A"}"#,
            415,
            "unsupported_media_type",
        ),
    ]
}

/// JSON with wrong content.
fn wrong_fields(known: &str) -> Vec<Row> {
    let row = |what: &str, line: &str, body: &str| raw(what, call(line, body), 422, "body_invalid");
    let create = |what: &str, body: &str| row(what, "POST /api/v1/customers", body);
    let of_known =
        |what: &str, rest: &str, body: &str| row(what, &format!("POST {known}{rest}"), body);
    let ends = |what: &str, text: &str| {
        let body = json!({"name": "t", "expires_at": text});
        of_known(what, "/tokens", &body.to_string())
    };
    vec![
        create("a list", "[]"),
        create("a text", r#""A""#),
        create("a number", "42"),
        create("null", "null"),
        create("true", "true"),
        create("nothing", "{}"),
        create("a field twice", r#"{"name":"A","name":"B"}"#),
        create("an unknown field", r#"{"name":"A","nmae":"B"}"#),
        create("a number for a text", r#"{"name":1}"#),
        create("a list for a text", r#"{"name":["A"]}"#),
        create("an object for a text", r#"{"name":{"$ne":null}}"#),
        create("U+0000", r#"{"name":"A\u0000"}"#),
        create(
            "U+0000 in a name",
            r#"{"name":"A","metadata":{"\u0000":1}}"#,
        ),
        create("U+0000 as a field", r#"{"\u0000":1}"#),
        create(
            "an escape sequence of a terminal",
            r#"{"name":"A\u001b[2J"}"#,
        ),
        create("a long name", &json!({"name": "x".repeat(256)}).to_string()),
        create("no address", r#"{"email":"nobody"}"#),
        create("two addresses", r#"{"email":"a@b.c,d@e.f"}"#),
        create(
            "large metadata",
            &json!({"name": "A", "metadata": {"k": "x".repeat(17_000)}}).to_string(),
        ),
        create(
            "deep metadata",
            &format!(r#"{{"name":"A","metadata":{}}}"#, nested(100)),
        ),
        ends("a day that is none", "2030-02-30T00:00:00Z"),
        ends("an hour that is none", "2030-01-01T25:00:00Z"),
        ends("a time without a zone", "2030-01-01T00:00:00"),
        ends("a date alone", "2030-01-01"),
        ends("the year zero", "0000-01-01T00:00:00Z"),
        ends("the year 10000", "+10000-01-01T00:00:00Z"),
        ends("a year that no clock has", "9999-12-31T23:59:59Z"),
        ends("the past", "1970-01-01T00:00:00Z"),
        ends("a number as a text", "1900000000"),
        of_known(
            "a number for a time",
            "/tokens",
            r#"{"name":"t","expires_at":1900000000}"#,
        ),
        of_known(
            "a pattern that is none",
            "/tokens",
            r#"{"name":"t","packages":["Acme/*"]}"#,
        ),
        of_known(
            "a package that is none",
            "/packages",
            r#"{"package":"../../etc/passwd"}"#,
        ),
        of_known(
            "a constraint that is none",
            "/packages",
            r#"{"package":"acme/tool","constraint":"^"}"#,
        ),
        of_known(
            "a version that is none",
            "/freeze",
            r#"{"versions":[{"package":"acme/tool","version":"^1"}]}"#,
        ),
        row(
            "days beyond all numbers",
            "POST /api/v1/admin-tokens",
            r#"{"name":"t","role":"viewer","expires_in_days":99999999999999999999}"#,
        ),
        row(
            "a broken number of days",
            "POST /api/v1/admin-tokens",
            r#"{"name":"t","role":"viewer","expires_in_days":1.5}"#,
        ),
        row(
            "minus one day",
            "POST /api/v1/admin-tokens",
            r#"{"name":"t","role":"viewer","expires_in_days":-1}"#,
        ),
        row(
            "a role that is none",
            "POST /api/v1/admin-tokens",
            r#"{"name":"t","role":"king"}"#,
        ),
        row(
            "a slug that is none",
            "POST /api/v1/apps",
            r#"{"slug":"../x","name":"X"}"#,
        ),
        row(
            "a policy that is none",
            "PUT /api/v1/policy",
            r#"{"on_end":"explode"}"#,
        ),
        row(
            "a span that is none",
            "PUT /api/v1/policy",
            r#"{"suspend_after":"-1d"}"#,
        ),
        row(
            "a span beyond all clocks",
            "PUT /api/v1/policy",
            r#"{"suspend_after":"99999999999999999999d"}"#,
        ),
        row(
            "a price that is none",
            "PUT /api/v1/plans/stripe/a%20b",
            r#"{"packages":[]}"#,
        ),
        row(
            "a filter that is none",
            "POST /api/v1/events/replay",
            r#"{"filter":{"outcome":"lost"}}"#,
        ),
        raw(
            "no constraint",
            call(
                "POST /api/v1/constraints/evaluate",
                r#"{"constraint":"^","versions":[]}"#,
            ),
            422,
            "constraint_invalid",
        ),
    ]
}

/// Queries.
fn queries() -> Vec<Row> {
    let row = |query: &str| {
        raw(
            query,
            call(&format!("GET /api/v1/{query}"), ""),
            422,
            "query_invalid",
        )
    };
    vec![
        row("customers?page=0"),
        row("customers?page=-1"),
        row("customers?page=1.5"),
        row("customers?page=4294967296"),
        row("customers?page=%EF%BC%91"),
        row("customers?page_size=0"),
        row("customers?page_size=101"),
        row("customers?per_page=1000000"),
        row("customers?page=1&page=1"),
        row("customers?page=1&cursor="),
        row("customers?cursor=x"),
        row("customers?cursor=cust_%2e%2e"),
        row("events?cursor=9223372036854775808"),
        row("audit?cursor=1e3"),
        row("customers?q=%00"),
        row("customers?q=a%0Ab"),
        row("customers?stauts=active"),
        row("customers?status=dead"),
        row("customers?created_after=yesterday"),
        row("customers?created_after=99999-01-01T00%3A00%3A00Z"),
        row("events?since=2026-02-30T00%3A00%3A00Z"),
        row("events?outcome=lost"),
        row("events?customer_id=1"),
        row("flags?kind=x"),
        row("audit?actor=nobody%20at%20all"),
        row("customers/by-email"),
        row("customers/by-external-id?external_id=a&external_id=b"),
    ]
}

/// Idempotency keys.
fn keys() -> Vec<Row> {
    let owner = owner();
    let long = "k".repeat(256);
    let row = |what, keys: &[&str]| {
        let mut headers = vec![
            ("Authorization", owner.as_str()),
            ("Content-Type", "application/json"),
        ];
        headers.extend(keys.iter().map(|key| ("Idempotency-Key", *key)));
        let request = request("POST /api/v1/customers", &headers, br#"{"name":"A"}"#);
        raw(what, request, 400, "idempotency_key_invalid")
    };
    vec![
        row("a long key", &[&long]),
        row("an empty key", &[""]),
        row("two keys", &["a", "b"]),
        row("a key with a tab", &["a\tb"]),
        row("a key beyond ASCII", &["é"]),
    ]
}
