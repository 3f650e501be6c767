//! Requests that are wrong before anybody looks at their body.

use super::rig::{Row, owner, raw, request};

const MIB: usize = 1024 * 1024;

pub(super) fn rows() -> Vec<Row> {
    [syntax(), framing(), sizes(), paths(), tokens()].concat()
}

/// What is no request of HTTP/1.1.
#[expect(clippy::too_many_lines, reason = "a table")]
fn syntax() -> Vec<Row> {
    let close = "Connection: close\r\n\r\n";
    let row =
        |what, head: &str, status, code| raw(what, format!("{head}\r\n{close}"), status, code);
    vec![
        row("no host", "GET /healthz HTTP/1.1", 400, "host_invalid"),
        row(
            "two hosts",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b",
            400,
            "host_invalid",
        ),
        row(
            "a host with a path",
            "GET /healthz HTTP/1.1\r\nHost: a/b",
            400,
            "host_invalid",
        ),
        row(
            "a host with a user",
            "GET /healthz HTTP/1.1\r\nHost: me@a",
            400,
            "host_invalid",
        ),
        row("no version", "GET /healthz", 400, ""),
        row(
            "another version",
            "GET /healthz HTTP/3.0\r\nHost: a",
            400,
            "",
        ),
        row(
            "blanks in the path",
            "GET /heal thz HTTP/1.1\r\nHost: a",
            400,
            "",
        ),
        row(
            "a control character in the path",
            "GET /heal\u{1}thz HTTP/1.1\r\nHost: a",
            400,
            "",
        ),
        row(
            "NUL in a header",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b",
            400,
            "",
        ),
        row(
            "a header without a colon",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX",
            400,
            "",
        ),
        row(
            "a blank before the colon",
            "GET /healthz HTTP/1.1\r\nHost : a",
            400,
            "",
        ),
        row(
            "a folded header",
            "GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\r\n b",
            400,
            "",
        ),
        row(
            "an empty header name",
            "GET /healthz HTTP/1.1\r\nHost: a\r\n: x",
            400,
            "",
        ),
        row(
            "an invented method",
            "BREW /healthz HTTP/1.1\r\nHost: a",
            405,
            "method_not_allowed",
        ),
        row(
            "a method in lower case",
            "get /healthz HTTP/1.1\r\nHost: a",
            405,
            "method_not_allowed",
        ),
        row(
            "a method that is none",
            "G@T /healthz HTTP/1.1\r\nHost: a",
            400,
            "",
        ),
        row(
            "TRACE",
            "TRACE /healthz HTTP/1.1\r\nHost: a",
            405,
            "method_not_allowed",
        ),
        row(
            "CONNECT",
            "CONNECT a:80 HTTP/1.1\r\nHost: a",
            404,
            "path_unknown",
        ),
        row(
            "OPTIONS of the server",
            "OPTIONS * HTTP/1.1\r\nHost: a",
            404,
            "path_unknown",
        ),
    ]
}

/// Bodies whose end is in doubt.
fn framing() -> Vec<Row> {
    let owner = owner();
    let head = format!(
        "POST /api/v1/customers HTTP/1.1\r\nHost: t\r\nAuthorization: {owner}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n"
    );
    let row = |what, rest: &str, status, code| raw(what, format!("{head}{rest}"), status, code);
    let chunked = "Transfer-Encoding: chunked\r\n";
    vec![
        row(
            "two lengths",
            "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
            400,
            "",
        ),
        row(
            "a list of lengths",
            "Content-Length: 2, 3\r\n\r\n{}x",
            400,
            "",
        ),
        row("a negative length", "Content-Length: -1\r\n\r\n{}", 400, ""),
        row("a signed length", "Content-Length: +2\r\n\r\n{}", 400, ""),
        row("a length in hex", "Content-Length: 0x2\r\n\r\n{}", 400, ""),
        row(
            "a length beyond all numbers",
            "Content-Length: 99999999999999999999\r\n\r\n{}",
            400,
            "",
        ),
        row(
            "the same length twice",
            "Content-Length: 1\r\nContent-Length: 1\r\n\r\n{",
            400,
            "body_not_json",
        ),
        // The chunks count, and nothing is read behind them.
        row(
            "a length and chunks",
            &format!(
                "Content-Length: 60\r\n{chunked}\r\n1\r\n{{\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
            ),
            400,
            "body_not_json",
        ),
        row(
            "chunks and a length",
            &format!(
                "{chunked}Content-Length: 60\r\n\r\n1\r\n{{\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
            ),
            400,
            "body_not_json",
        ),
        row(
            "an unknown transfer coding",
            "Transfer-Encoding: gzip\r\n\r\n{}",
            400,
            "",
        ),
        row(
            "chunked before another coding",
            "Transfer-Encoding: chunked, gzip\r\n\r\n{}",
            400,
            "",
        ),
        row(
            "a transfer coding that only looks like one",
            "Transfer-Encoding: xchunked\r\n\r\n{}",
            400,
            "",
        ),
        row(
            "a chunk size that is none",
            &format!("{chunked}\r\nzz\r\n{{}}\r\n0\r\n\r\n"),
            400,
            "body_incomplete",
        ),
        row(
            "a chunk size beyond all numbers",
            &format!("{chunked}\r\nfffffffffffffffff\r\n{{}}\r\n0\r\n\r\n"),
            400,
            "body_incomplete",
        ),
        raw(
            "chunks in HTTP/1.0",
            format!(
                "{}{chunked}\r\n0\r\n\r\n",
                head.replace("HTTP/1.1", "HTTP/1.0")
            ),
            400,
            "",
        ),
    ]
}

/// What is too large.
fn sizes() -> Vec<Row> {
    let owner = owner();
    let json = ("Content-Type", "application/json");
    let authorized = [("Authorization", owner.as_str()), json];
    let large = vec![b' '; MIB + 1];
    let expecting = |length: usize, rest: &str| {
        format!(
            "POST /api/v1/customers HTTP/1.1\r\nHost: t\r\nAuthorization: {owner}\r\n\
             Content-Type: application/json\r\nExpect: 100-continue\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{rest}"
        )
    };
    let chunk = format!("{:x}\r\n{}\r\n", MIB, " ".repeat(MIB));
    let chunked = format!(
        "POST /api/v1/customers HTTP/1.1\r\nHost: t\r\nAuthorization: {owner}\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         {chunk}{chunk}0\r\n\r\n"
    );
    let long = format!("GET /api/v1/customers?q={}", "x".repeat(8_200));
    let header = "x".repeat(33_000);
    vec![
        raw(
            "a body over a megabyte",
            request("POST /api/v1/customers", &authorized, &large),
            413,
            "payload_too_large",
        ),
        raw("chunks over a megabyte", chunked, 413, "payload_too_large"),
        raw(
            "a webhook over a megabyte",
            request("POST /webhooks/stripe", &[], &large),
            413,
            "payload_too_large",
        ),
        raw(
            "a megabyte that is asked for first",
            expecting(MIB + 1, ""),
            413,
            "payload_too_large",
        ),
        raw(
            "a body that is asked for first",
            expecting(1, "{"),
            400,
            "body_not_json",
        ),
        raw(
            "a long address",
            request(&long, &authorized, b""),
            414,
            "uri_too_long",
        ),
        raw(
            "a long header",
            request("GET /api/v1/customers", &[("X-Long", &header)], b""),
            431,
            "headers_too_large",
        ),
    ]
}

/// Paths and methods that do not exist.
fn paths() -> Vec<Row> {
    let owner = owner();
    let authorized = [("Authorization", owner.as_str())];
    let row = |line: &str, status, code| raw(line, request(line, &authorized, b""), status, code);
    vec![
        row("GET /api/v1/nothing", 404, "path_unknown"),
        row("GET /api/v2/customers", 404, "path_unknown"),
        row("GET /API/V1/customers", 404, "path_unknown"),
        row("GET /api/v1//customers", 404, "path_unknown"),
        row("GET /api/v1/customers/", 404, "path_unknown"),
        row("GET /api/v1/../v1/customers", 404, "path_unknown"),
        row(
            "GET /api/v1/customers/%2e%2e%2fapps",
            404,
            "customer_not_found",
        ),
        row("GET /api/v1/customers/cust_1", 404, "customer_not_found"),
        row("GET /api/v1/customers/%00", 404, "not_found"),
        row("GET /api/v1/customers/%ff", 404, "not_found"),
        row("GET /api/v1/customers/%zz", 404, "customer_not_found"),
        row("GET /api/v1/events/evt_unknown", 404, "event_not_found"),
        row("GET /api/v1/replays/1", 404, "replay_not_found"),
        row("GET /api/v1/licenses/lic_1", 404, "license_not_found"),
        row("GET /api/v1/apps/none", 404, "app_not_found"),
        row("GET /api/v1/apps/No%20App/customers", 404, "app_not_found"),
        row("GET /api/v1/plans/chargebee/price_1", 404, "plan_not_found"),
        row(
            "GET /api/v1/packages/Acme/Tool/releases",
            404,
            "package_not_found",
        ),
        row("DELETE /api/v1/flags/x", 404, "flag_not_found"),
        row("DELETE /api/v1/admin-tokens/x", 404, "token_not_found"),
        row("DELETE /api/v1/customers", 405, "method_not_allowed"),
        row("PATCH /api/v1/events", 405, "method_not_allowed"),
        row("POST /healthz", 405, "method_not_allowed"),
        row("GET /webhooks/stripe", 405, "method_not_allowed"),
        row("PUT /access", 405, "method_not_allowed"),
    ]
}

/// Credentials that are none.
fn tokens() -> Vec<Row> {
    let long = format!("Bearer {}", "x".repeat(8_000));
    let list = "GET /api/v1/customers";
    let access = "GET /access?package=acme/tool";
    let row = |what, line, headers: &[(&str, &str)], status, code| {
        raw(what, request(line, headers, b""), status, code)
    };
    let bearer =
        |what, line, value: &str, code| row(what, line, &[("Authorization", value)], 401, code);
    vec![
        row("no token", list, &[], 401, "token_missing"),
        bearer("an empty token", list, "Bearer ", "token_missing"),
        bearer("no scheme", list, "abc", "token_missing"),
        bearer("another scheme", list, "Digest abc", "token_missing"),
        bearer("bytes beyond ASCII", list, "Bearer \u{e9}", "token_missing"),
        bearer(
            "an unknown token",
            list,
            "Bearer tga_unknown",
            "token_unknown",
        ),
        bearer("a long token", list, &long, "token_unknown"),
        row(
            "an unknown cookie",
            list,
            &[("Cookie", "access_token=x")],
            401,
            "token_unknown",
        ),
        row("no customer's token", access, &[], 401, "token_unknown"),
        bearer(
            "a wrong token",
            access,
            "Bearer tok_unknown",
            "token_unknown",
        ),
        bearer(
            "basic that is no base64",
            access,
            "Basic %%%",
            "token_unknown",
        ),
        bearer(
            "basic without a colon",
            access,
            "Basic dG9rZW4=",
            "token_unknown",
        ),
        bearer(
            "basic that is no text",
            access,
            "Basic /////w==",
            "token_unknown",
        ),
        bearer(
            "a wrong token for all",
            "GET /access/packages",
            "Bearer x",
            "token_unknown",
        ),
    ]
}
