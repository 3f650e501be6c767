//! Somebody who looks at pages and sends forms, as a browser does.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::json;

use crate::support::{ADMIN_TOKEN, TestServer, client, stripe_customer, stripe_event};
use crate::support::{seconds_from_now, stripe_subscription};
use tollgate::provider::STRIPE;

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn location(&self) -> &str {
        self.headers
            .get("location")
            .map_or("", |it| it.to_str().unwrap())
    }

    /// The page, if it is one.
    #[track_caller]
    pub(super) fn page(self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.text
    }
}

pub(super) struct Visit {
    client: reqwest::Client,
    pub(super) base: String,
    pub(super) cookie: String,
    pub(super) csrf: String,
    pub(super) app: String,
}

pub(super) fn written(fields: &[(&str, &str)]) -> String {
    let text = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", text(name), text(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Visit {
    /// Somebody who is not signed in.
    pub(super) fn new(base: &str) -> Self {
        let _ = client();
        let client = reqwest::Client::builder().redirect(Policy::none());
        Self {
            client: client.build().unwrap(),
            base: base.to_owned(),
            cookie: String::new(),
            csrf: String::new(),
            app: "default".to_owned(),
        }
    }

    pub(super) async fn sign_in(base: &str, token: &str) -> Self {
        let mut visit = Self::new(base);
        let answer = visit.enter(token, &[]).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        visit.keep_cookie(&answer);
        visit
    }

    pub(super) async fn owner(server: &TestServer) -> Self {
        let mut visit = Self::sign_in(&server.base, ADMIN_TOKEN).await;
        visit.read_csrf().await;
        visit
    }

    /// Somebody with a token of this role.
    pub(super) async fn with_role(server: &TestServer, role: &str) -> Self {
        let body = json!({"name": role, "role": role});
        let (status, made) = server
            .call("POST", "/api/v1/admin-tokens", Some(body))
            .await;
        assert_eq!(status, 201, "{made}");
        let mut visit = Self::sign_in(&server.base, made["token"].as_str().unwrap()).await;
        visit.read_csrf().await;
        visit
    }

    pub(super) async fn enter(&self, token: &str, more: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = more.iter().copied().chain([("token", token)]).collect();
        self.send("/console/sign-in", &fields, &[]).await
    }

    pub(super) fn keep_cookie(&mut self, answer: &Answer) {
        let set = answer.headers[SET_COOKIE].to_str().unwrap();
        set.split(';').next().unwrap().clone_into(&mut self.cookie);
    }

    pub(super) async fn read_csrf(&mut self) {
        let page = self.page("/console/customers").await;
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().clone_into(&mut self.csrf);
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.base));
        answer(request.header(COOKIE, &self.cookie)).await
    }

    /// As [`get`](Self::get), with more headers.
    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.client.get(format!("{}{path}", self.base));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        answer(request.header(COOKIE, &self.cookie)).await
    }

    pub(super) async fn page(&self, path: &str) -> String {
        self.get(path).await.page()
    }

    /// Sends a form of one of the pages.
    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let hidden = [("csrf", self.csrf.as_str()), ("app", self.app.as_str())];
        let fields: Vec<_> = hidden.into_iter().chain(fields.iter().copied()).collect();
        self.send(path, &fields, &[]).await
    }

    pub(super) async fn send(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(written(fields));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        answer(request).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

/// Somebody who pays; the id of the customer.
pub(super) async fn buys(server: &TestServer, account: &str, email: &str) -> String {
    buys_at(server, account, email, "price_basic").await
}

pub(super) async fn buys_at(
    server: &TestServer,
    account: &str,
    email: &str,
    price: &str,
) -> String {
    let now = seconds_from_now(0);
    let known = stripe_event(
        &format!("evt_known_{account}"),
        "customer.created",
        now,
        stripe_customer(account, email),
    );
    server.deliver(STRIPE.name, &known).await;
    let mut subscription = stripe_subscription(&format!("sub_{account}"), account, "active");
    subscription["items"]["data"][0]["price"]["id"] = price.into();
    let began = stripe_event(
        &format!("evt_began_{account}"),
        "customer.subscription.created",
        now,
        subscription,
    );
    let event = server.deliver(STRIPE.name, &began).await;
    event["customer_id"].as_str().unwrap().to_owned()
}

/// Every page that a viewer may look at, of a shop with one customer.
pub(super) fn pages_of(customer: &str) -> Vec<String> {
    let names = [
        "overview",
        "customers",
        "events",
        "events/evt_began_cus_1",
        "replays",
        "flags",
        "policy",
        "plans",
        "packages",
        "endpoints",
        "hooks",
        "reconciles",
        "audit",
        "admins",
        "apps",
    ];
    let pages = names.map(|name| format!("/console/{name}"));
    let own = format!("/console/customers/{customer}");
    [own].into_iter().chain(pages).collect()
}
