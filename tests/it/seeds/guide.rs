//! A server, and what a page's commands say instead of its host, token and ids.

use serde_json::{Value, json};

use super::curl;
use crate::support::stores::Engine;
use crate::support::{ADMIN_TOKEN, TestServer};

pub(super) struct Guide {
    pub(super) server: TestServer,
    /// What the page says, and what is meant here.
    replaced: Vec<(String, String)>,
    /// Credentials for commands that show none.
    bearer: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) content_type: String,
    what: String,
}

impl Guide {
    /// A page whose commands name this host; `""` for paths alone.
    pub(super) async fn start(engine: Engine, host: &str) -> Self {
        let server = TestServer::start(engine).await;
        let mut guide = Self {
            server,
            replaced: Vec::new(),
            bearer: None,
        };
        if !host.is_empty() {
            let base = guide.server.base.clone();
            guide.means(host, &base);
        }
        guide
    }

    /// From now on, the page's word means ours.
    pub(super) fn means(&mut self, theirs: &str, ours: &str) {
        self.replaced.retain(|(known, _)| known != theirs);
        self.replaced.push((theirs.to_owned(), ours.to_owned()));
    }

    /// Credentials for commands that show none.
    pub(super) fn signed_in_as(&mut self, token: &str) {
        self.bearer = Some(token.to_owned());
    }

    /// Runs a command of the page.
    pub(super) async fn run(&self, command: &str) -> Answer {
        let mut meant = command.to_owned();
        for (theirs, ours) in &self.replaced {
            meant = meant.replace(theirs, ours);
        }
        let request = curl::parse(&meant);
        let url = if request.url.starts_with('/') {
            format!("{}{}", self.server.base, request.url)
        } else {
            request.url
        };
        let method = request.method.parse().unwrap();
        let mut sent = self.server.client.request(method, url);
        let mut is_signed_in = false;
        for (name, value) in request.headers {
            is_signed_in |= ["authorization", "cookie"].contains(&name.to_lowercase().as_str());
            sent = sent.header(name, value);
        }
        if let (Some(token), false) = (&self.bearer, is_signed_in) {
            sent = sent.bearer_auth(token);
        }
        if let Some(body) = request.body {
            sent = sent.body(body);
        }
        let what = format!("{} of {command}", self.server.base);
        Answer::read(sent.send().await.unwrap(), what).await
    }

    /// A call that no page shows, as the owner of everything.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.call_as(ADMIN_TOKEN, method, path, body).await
    }

    /// A call that no page shows.
    pub(super) async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let url = format!("{}{path}", self.server.base);
        let request = self.server.client.request(method.parse().unwrap(), url);
        let request = request.bearer_auth(token);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let what = format!("{method} {path} {body:?}");
        Answer::read(request.send().await.unwrap(), what).await
    }

    /// Makes an app; a token of an admin who is bound to it.
    pub(super) async fn app(&self, slug: &str) -> String {
        let app = json!({"slug": slug, "name": slug});
        self.call("POST", "/api/v1/apps", Some(app)).await.is(201);
        self.token("admin", Some(slug)).await
    }

    /// Makes an admin token.
    pub(super) async fn token(&self, role: &str, app: Option<&str>) -> String {
        let token = json!({"name": role, "role": role, "app": app});
        let made = self.call("POST", "/api/v1/admin-tokens", Some(token)).await;
        made.is(201)["token"].as_str().unwrap().to_owned()
    }
}

impl Answer {
    async fn read(response: reqwest::Response, what: String) -> Self {
        let status = response.status().as_u16();
        let content_type = response.headers().get("content-type");
        let content_type = content_type
            .map_or("", |it| it.to_str().unwrap())
            .to_owned();
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            status,
            body,
            content_type,
            what,
        }
    }

    /// The body, if the status is what it should be.
    #[track_caller]
    pub(super) fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.what, self.body);
        self.body
    }

    /// The body, if it is as the page shows it: every field that the page shows is there, with
    /// the page's value; of the fields in `own`, which are made here, with the page's type.
    #[track_caller]
    pub(super) fn shows(self, status: u16, documented: &str, own: &[&str]) -> Value {
        let what = self.what.clone();
        let body = self.is(status);
        let documented: Value = serde_json::from_str(documented).unwrap();
        compare(&what, "", &documented, &body, own);
        body
    }

    /// Whether this dialect refuses with exactly this sentence.
    #[track_caller]
    pub(super) fn refuses(self, status: u16, sentence: &str) {
        assert_eq!(self.content_type, "application/json", "{}", self.what);
        let what = self.what.clone();
        assert_eq!(self.is(status), json!({"error": sentence}), "{what}");
    }
}

#[track_caller]
fn compare(what: &str, path: &str, documented: &Value, shown: &Value, own: &[&str]) {
    let name = path.rsplit('.').next().unwrap_or_default();
    if own.contains(&name) {
        let (one, other) = (kind(documented), kind(shown));
        assert_eq!(other, one, "{what}: the type of {path} in {shown}");
        if looks_like_time(documented) {
            assert!(looks_like_time(shown), "{what}: {path} is no time: {shown}");
        }
        return;
    }
    match (documented, shown) {
        (Value::Object(documented), Value::Object(fields)) => {
            for (field, value) in documented {
                let at = format!("{path}.{field}");
                let shown = fields.get(field);
                let shown = shown.unwrap_or_else(|| panic!("{what}: no {at} in {shown:?}"));
                compare(what, &at, value, shown, own);
            }
        }
        (Value::Array(documented), Value::Array(rows)) => {
            assert_eq!(rows.len(), documented.len(), "{what}: the rows of {path}");
            for (documented, row) in documented.iter().zip(rows) {
                compare(what, path, documented, row, own);
            }
        }
        _ => assert_eq!(shown, documented, "{what}: {path}"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// ISO 8601 in UTC.
fn looks_like_time(value: &Value) -> bool {
    let digits = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit() || b"-T:.".contains(&b))
    };
    value.as_str().is_some_and(|text| {
        let time = text.strip_suffix('Z');
        time.is_some_and(|it| it.len() >= 19 && it.as_bytes()[10] == b'T' && digits(it))
    })
}
