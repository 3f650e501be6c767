//! Webhooks that are not signed, too late, or signed and no event.

use serde_json::json;
use tollgate::clock::{Clock, SystemClock};
use tollgate::domain::id::Provider;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{PADDLE, STRIPE};

use super::rig::{Row, raw, request};
use crate::support::secret;
use crate::support::spec::{header_name, sign};

pub(super) fn rows() -> Vec<Row> {
    [endpoints(), signatures(), payloads()].concat()
}

fn event() -> Vec<u8> {
    let event = json!({"id": "evt_bad", "object": "event", "type": "customer.created",
        "created": 1_760_000_000, "livemode": true, "data": {"object": {"id": "cus_bad"}}});
    event.to_string().into_bytes()
}

fn signed(provider: Provider, body: &[u8], age: i64) -> String {
    let at = Timestamp::from_seconds(SystemClock.now().seconds() - age).unwrap();
    sign(provider, &secret(provider), body, at)
}

fn endpoints() -> Vec<Row> {
    let body = event();
    let header = signed(STRIPE.name, &body, 0);
    let row = |path: &str, status, code| {
        let line = format!("POST /webhooks/{path}");
        raw(
            &line,
            request(&line, &[("Stripe-Signature", &header)], &body),
            status,
            code,
        )
    };
    vec![
        row("chargebee", 404, "endpoint_unknown"),
        row("Stripe", 404, "endpoint_unknown"),
        row("nobody/stripe", 404, "endpoint_unknown"),
        row("default/none", 404, "endpoint_unknown"),
        row("%00/stripe", 404, "endpoint_unknown"),
        row("%ff/stripe", 404, "endpoint_unknown"),
        row("default/stripe/more", 404, "path_unknown"),
        row("nobody/stripe/", 404, "endpoint_unknown"),
        row("chargebee/", 404, "endpoint_unknown"),
        row("stripe//", 404, "endpoint_unknown"),
        row("default/stripe//", 404, "path_unknown"),
        compressed(
            "POST /webhooks/stripe",
            &header,
            415,
            "unsupported_media_type",
        ),
        compressed(
            "POST /webhooks/default/stripe",
            &header,
            415,
            "unsupported_media_type",
        ),
        compressed(
            "POST /webhooks/nobody/stripe",
            &header,
            404,
            "endpoint_unknown",
        ),
        // A webhook of the wrong provider has another header.
        row("paddle", 400, "signature_missing"),
    ]
}

/// With the signature of what it would unfold to, as a proxy between would send it.
fn compressed(line: &str, signature: &str, status: u16, code: &'static str) -> Row {
    let headers = [
        ("Stripe-Signature", signature),
        ("Content-Encoding", "gzip"),
    ];
    let what = format!("{line}, compressed");
    let body = b"\x1f\x8b\x08\0\0\0\0\0";
    raw(&what, request(line, &headers, body), status, code)
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn signatures() -> Vec<Row> {
    let body = event();
    let right = signed(STRIPE.name, &body, 0);
    let (time, digest) = right.split_once(',').unwrap();
    let digest = digest.strip_prefix("v1=").unwrap();
    let line = "POST /webhooks/stripe";
    let row = |what: &str, header: &str, code| {
        raw(
            what,
            request(line, &[("Stripe-Signature", header)], &body),
            400,
            code,
        )
    };
    let long = format!("{right},x={}", "x".repeat(2_048));
    let many = format!("{time}{}", format!(",v1={digest}").repeat(17));
    let paddle = signed(PADDLE.name, &body, 0);
    let as_paddle = request(
        "POST /webhooks/paddle",
        &[("Paddle-Signature", &right)],
        &body,
    );
    let altered = [&body[..body.len() - 1], b" }"].concat();
    let altered = request(line, &[("Stripe-Signature", &right)], &altered);
    let behind = [&body[..], b"\n"].concat();
    let behind = request(line, &[("Stripe-Signature", &right)], &behind);
    let wrong = format!("{time},v1={}", "ab".repeat(32));
    let two = request(
        line,
        &[("Stripe-Signature", &wrong), ("Stripe-Signature", &right)],
        &body,
    );
    vec![
        raw(
            "no signature",
            request(line, &[], &body),
            400,
            "signature_missing",
        ),
        row("an empty one", "", "signature_malformed"),
        row("blanks", "   ", "signature_malformed"),
        row("no parts", "abc", "signature_malformed"),
        row("no time", &format!("v1={digest}"), "signature_malformed"),
        row(
            "two times",
            &format!("{time},{right}"),
            "signature_malformed",
        ),
        row("no digest", time, "signature_malformed"),
        row(
            "an empty digest",
            &format!("{time},v1="),
            "signature_malformed",
        ),
        row(
            "another scheme alone",
            &format!("{time},v0={digest}"),
            "signature_malformed",
        ),
        row(
            "a time with a sign",
            &format!("t=-1,v1={digest}"),
            "signature_malformed",
        ),
        row(
            "a time beyond all numbers",
            &format!("t=99999999999999999999,v1={digest}"),
            "signature_malformed",
        ),
        row(
            "a broken time",
            &format!("t=1.5,v1={digest}"),
            "signature_malformed",
        ),
        row(
            "semicolons",
            &right.replace(',', ";"),
            "signature_malformed",
        ),
        row("a long header", &long, "signature_malformed"),
        row("seventeen digests", &many, "signature_malformed"),
        row(
            "a short digest",
            &format!("{time},v1={}", &digest[..62]),
            "signature_mismatch",
        ),
        row(
            "no hex",
            &format!("{time},v1={}", "zz".repeat(32)),
            "signature_mismatch",
        ),
        row(
            "another time",
            &format!("t=1,v1={digest}"),
            "signature_mismatch",
        ),
        row("a digest of nothing", &wrong, "signature_mismatch"),
        row("Paddle's form", &paddle, "signature_malformed"),
        raw(
            "Stripe's form at Paddle's",
            as_paddle,
            400,
            "signature_malformed",
        ),
        raw("an altered body", altered, 400, "signature_mismatch"),
        raw("a line break behind it", behind, 400, "signature_mismatch"),
        // The first counts.
        raw("two headers", two, 400, "signature_mismatch"),
        row(
            "an old one",
            &signed(STRIPE.name, &body, 400),
            "signature_too_old",
        ),
        row(
            "one from the future",
            &signed(STRIPE.name, &body, -400),
            "signature_in_future",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn payloads() -> Vec<Row> {
    let of = |provider: Provider, what: &str, body: &[u8], code| {
        let header = signed(provider, body, 0);
        let line = format!("POST /webhooks/{provider}");
        let request = request(&line, &[(header_name(provider), &header)], body);
        raw(&format!("{provider}: {what}"), request, 400, code)
    };
    let row = |what, body: &[u8], code| of(STRIPE.name, what, body, code);
    let utf16: Vec<u8> = r#"{"id":"evt_1"}"#.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let with_id = |id: &str| format!(r#"{{"id":{id},"type":"customer.created","created":1}}"#);
    let with_type = |name: &str| format!(r#"{{"id":"evt_1","type":{name},"created":1}}"#);
    let long = format!("\"{}\"", "x".repeat(101));
    let bomb = format!(
        r#"{{"id":"evt_1","type":"x","data":{}"#,
        "[".repeat(500_000)
    );
    vec![
        row("nothing", b"", "payload_empty"),
        row("blanks", b" \r\n\t", "payload_empty"),
        row("a list", b"[]", "payload_not_json"),
        row("a text", br#""evt_1""#, "payload_not_json"),
        row("a form", b"id=evt_1&type=x", "payload_not_json"),
        row("half an object", br#"{"id":"evt_1""#, "payload_not_json"),
        row(
            "two objects",
            br#"{"id":"evt_1","type":"x"}{}"#,
            "payload_not_json",
        ),
        row(
            "a byte order mark",
            b"\xef\xbb\xbf{\"id\":\"evt_1\",\"type\":\"x\"}",
            "payload_not_json",
        ),
        row("UTF-16", &utf16, "payload_not_json"),
        row(
            "no UTF-8",
            b"{\"id\":\"evt_1\",\"type\":\"\xff\"}",
            "payload_not_json",
        ),
        row("gzip", b"\x1f\x8b\x08\0\0\0\0\0", "payload_not_json"),
        row("500,000 lists", bomb.as_bytes(), "payload_not_json"),
        row(
            "NaN",
            br#"{"id":"evt_1","type":"x","created":NaN}"#,
            "payload_not_json",
        ),
        row(
            "an id twice",
            br#"{"id":"evt_1","id":"evt_2","type":"x"}"#,
            "payload_not_json",
        ),
        row("no id", br#"{"type":"customer.created"}"#, "payload_no_id"),
        row(
            "null for an id",
            with_id("null").as_bytes(),
            "payload_no_id",
        ),
        row("an empty id", with_id(r#""""#).as_bytes(), "payload_no_id"),
        row(
            "a number for an id",
            with_id("1").as_bytes(),
            "payload_bad_id",
        ),
        row(
            "a list for an id",
            with_id("[]").as_bytes(),
            "payload_bad_id",
        ),
        row("a long id", with_id(&long).as_bytes(), "payload_bad_id"),
        row(
            "U+0000 in an id",
            with_id(r#""evt_\u0000""#).as_bytes(),
            "payload_bad_id",
        ),
        row(
            "a line break in an id",
            with_id(r#""evt_1\nevt_2""#).as_bytes(),
            "payload_bad_id",
        ),
        row(
            "an id beyond ASCII",
            with_id(r#""evt_é""#).as_bytes(),
            "payload_bad_id",
        ),
        row(
            "a lone surrogate for an id",
            with_id(r#""\ud800""#).as_bytes(),
            "payload_bad_id",
        ),
        row("no type", br#"{"id":"evt_1"}"#, "payload_no_type"),
        row(
            "an empty type",
            with_type(r#""""#).as_bytes(),
            "payload_no_type",
        ),
        row(
            "a number for a type",
            with_type("7").as_bytes(),
            "payload_bad_type",
        ),
        row(
            "a long type",
            with_type(&long).as_bytes(),
            "payload_bad_type",
        ),
        of(PADDLE.name, "nothing", b"", "payload_empty"),
        of(PADDLE.name, "a list", b"[]", "payload_not_json"),
        of(PADDLE.name, "Stripe's event", &event(), "payload_no_id"),
        of(
            PADDLE.name,
            "no type",
            br#"{"event_id":"evt_1"}"#,
            "payload_no_type",
        ),
        of(
            PADDLE.name,
            "a number for an id",
            br#"{"event_id":1,"event_type":"x"}"#,
            "payload_bad_id",
        ),
    ]
}
