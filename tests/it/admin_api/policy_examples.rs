//! The examples of `docs/policy-examples.md`: each table is one customer's life under the policy above it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tollgate::pipeline::timers::run_due;

use super::rig::{NOW, Rig, basic, path_of};
use crate::support::stores::{Engine, on_both_stores};
use crate::support::stripe_event;

const HEAD: &str = "| day | what happens | status | may have | flags |";

const DAY: i64 = 86_400;
const MONTH: i64 = 30 * DAY;

/// Version and the day on which it is released.
const RELEASES: [(&str, i64); 3] = [("1.0", -10), ("1.1", 20), ("1.2", 50)];

/// The blocks of JSON in a text.
fn blocks(text: &str) -> Vec<Value> {
    let blocks = text.split("```json\n").skip(1);
    let parsed = blocks.map(|it| serde_json::from_str(it.split("```").next().unwrap()).unwrap());
    parsed.collect()
}

/// The subscription of an example, as its events have left it.
struct Life<'a> {
    rig: &'a Rig,
    events: usize,
    /// Seconds since 1970 at which its period begins and ends.
    period: (i64, i64),
    /// The number of the latest invoice, and of the latest that was paid.
    invoice: usize,
    paid: usize,
}

impl Life<'_> {
    async fn sends(&mut self, event_type: &str, object: Value) {
        self.events += 1;
        let id = format!("evt_{}", self.events);
        let mut event = stripe_event(&id, event_type, self.rig.now().seconds(), object);
        event["api_version"] = json!("2024-06-20");
        self.rig.happens(&event).await;
        // Seconds order Stripe's events.
        self.rig.pass(1);
    }

    fn subscription(&self, status: &str) -> Value {
        json!({
            "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
            "current_period_start": self.period.0, "current_period_end": self.period.1,
            "latest_invoice": format!("in_{}", self.invoice), "pause_collection": null,
            "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null, "ended_at": null,
            "items": { "object": "list", "has_more": false, "data": [{
                "id": "si_1", "object": "subscription_item", "quantity": 1,
                "price": { "id": "price_pro", "object": "price", "product": "prod_1" },
            }] },
        })
    }

    async fn becomes(&mut self, status: &str) {
        let subscription = self.subscription(status);
        self.sends("customer.subscription.updated", subscription)
            .await;
    }

    /// The next period begins, with an invoice of its own.
    fn renews(&mut self) {
        self.period = (self.period.1, self.period.1 + MONTH);
        self.invoice += 1;
    }

    fn invoice(&self, amount: i64) -> Value {
        let reason = if self.invoice == 1 {
            "subscription_create"
        } else {
            "subscription_cycle"
        };
        let number = self.invoice;
        json!({
            "id": format!("in_{number}"), "object": "invoice", "customer": "cus_1",
            "subscription": "sub_1", "charge": format!("ch_{number}"), "billing_reason": reason,
            "amount_paid": amount, "total": amount,
            "lines": { "object": "list", "has_more": false, "data": [{
                "id": format!("il_{number}"), "object": "line_item", "amount": amount,
                "type": "subscription", "proration": false, "quantity": 1,
                "subscription": "sub_1", "subscription_item": "si_1",
                "period": { "start": self.period.0, "end": self.period.1 },
                "price": { "id": "price_pro", "object": "price", "product": "prod_1" },
            }] },
        })
    }

    async fn pays(&mut self, amount: i64) {
        let invoice = self.invoice(amount);
        self.sends("invoice.paid", invoice).await;
        self.paid = self.invoice;
        if amount > 0 {
            let charge = self.charge();
            self.sends("charge.succeeded", charge).await;
        }
    }

    fn charge(&self) -> Value {
        json!({
            "id": format!("ch_{}", self.paid), "object": "charge", "customer": "cus_1",
            "amount": 2900, "amount_refunded": 0, "invoice": format!("in_{}", self.paid),
        })
    }

    async fn disputes(&mut self, event_type: &str, status: &str) {
        let dispute = json!({
            "id": "dp_1", "object": "dispute", "charge": format!("ch_{}", self.paid),
            "amount": 2900, "status": status,
        });
        self.sends(event_type, dispute).await;
    }

    async fn begins(&mut self, status: &str, length: i64) {
        let now = self.rig.now().seconds();
        (self.period, self.invoice) = ((now, now + length), 1);
        let subscription = self.subscription(status);
        self.sends("customer.subscription.created", subscription)
            .await;
        let amount = if status == "trialing" { 0 } else { 2900 };
        self.pays(amount).await;
    }

    /// What a row says.
    async fn goes_on(&mut self, words: &str) {
        match words {
            "" => {}
            "buys a month" => self.begins("active", MONTH).await,
            "buys a year" => self.begins("active", 365 * DAY).await,
            "begins a trial" => self.begins("trialing", 14 * DAY).await,
            "pays the next month" | "resumes" => {
                self.renews();
                self.becomes("active").await;
                self.pays(2900).await;
            }
            "the renewal fails" => {
                self.renews();
                let invoice = self.invoice(0);
                self.sends("invoice.payment_failed", invoice).await;
                self.becomes("past_due").await;
            }
            "pays what is owed" => {
                self.pays(2900).await;
                self.becomes("active").await;
            }
            "cancels for the end of the month" => {
                let mut subscription = self.subscription("active");
                subscription["cancel_at_period_end"] = json!(true);
                subscription["cancel_at"] = json!(self.period.1);
                self.sends("customer.subscription.updated", subscription)
                    .await;
            }
            "cancels at once" | "the subscription ends" => {
                let mut subscription = self.subscription("canceled");
                subscription["ended_at"] = json!(self.rig.now().seconds());
                self.sends("customer.subscription.deleted", subscription)
                    .await;
            }
            "pauses" => self.becomes("paused").await,
            "the collection is paused" => {
                let mut subscription = self.subscription("active");
                subscription["pause_collection"] = json!({ "behavior": "void" });
                self.sends("customer.subscription.updated", subscription)
                    .await;
            }
            "gets the payment back" => {
                let mut charge = self.charge();
                charge["amount_refunded"] = json!(2900);
                charge["refunded"] = json!(true);
                self.sends("charge.refunded", charge).await;
            }
            "disputes the payment" => {
                self.disputes("charge.dispute.created", "needs_response")
                    .await;
            }
            "the dispute is won" => self.disputes("charge.dispute.closed", "won").await,
            "the dispute is lost" => self.disputes("charge.dispute.closed", "lost").await,
            other => panic!("the test cannot make this happen: {other}"),
        }
    }
}

/// The versions that a customer may have of those that are out on a day, as a row has it.
async fn may_have(rig: &Rig, token: &str, day: i64) -> String {
    let mut allowed = Vec::new();
    let authorization = basic(token);
    for (version, released) in RELEASES {
        let path = format!("/access?package=acme/forms&version={version}");
        let headers = [("authorization", authorization.as_str())];
        let answer = rig.send("GET", &path, &headers, None).await;
        if released <= day && answer.status == 200 {
            allowed.push(version);
        }
    }
    if allowed.is_empty() {
        "nothing".to_owned()
    } else {
        allowed.join(", ")
    }
}

/// Plays a table and writes it anew, with what was seen.
async fn played(engine: Engine, plan: &Value, policy: &Value, rows: &[Vec<&str>]) -> String {
    let rig = Rig::start(engine).await;
    let put = rig.put("/plans/stripe/price_pro", plan.clone()).await;
    assert!(put.status < 300, "{}", put.body);
    rig.put("/policy", policy.clone()).await.expect(200);
    let mut life = Life {
        rig: &rig,
        events: 0,
        period: (NOW, NOW),
        invoice: 0,
        paid: 0,
    };
    let mut customer = None;
    let mut released = 0;
    let mut seen = format!("{HEAD}\n| --- | --- | --- | --- | --- |\n");
    for row in rows {
        let day: i64 = row[0].parse().unwrap();
        // Seconds after the period's end, so that what is due at this day is due.
        rig.clock().set(NOW + day * DAY + i64::from(day > 0));
        while let Some((version, at)) = RELEASES.get(released).filter(|it| it.1 <= day) {
            let at = tollgate::domain::time::Timestamp::from_seconds(NOW + at * DAY).unwrap();
            let release = json!({"version": version, "released_at": at.to_string()});
            let made = rig.post("/packages/acme/forms/releases", release).await;
            made.expect(201);
            released += 1;
        }
        life.goes_on(row[1]).await;
        run_due(&rig.store, rig.now()).await.unwrap();
        if customer.is_none() {
            let found = rig.get("/customers/by-external/cus_1").await.expect(200);
            let path = path_of(&found);
            let made = rig
                .post(&format!("{path}/tokens"), json!({"name": "builds"}))
                .await;
            let token = made.expect(201)["token"].as_str().unwrap().to_owned();
            customer = Some((path, token));
        }
        let (path, token) = customer.as_ref().unwrap();
        let shown = rig.get(path).await.expect(200);
        let flags = shown["flags"].as_array().unwrap().iter();
        let flags: Vec<&str> = flags.map(|it| it["kind"].as_str().unwrap()).collect();
        let cells = [
            row[0],
            row[1],
            shown["status"].as_str().unwrap(),
            &may_have(&rig, token, day).await,
            &flags.join(", "),
        ];
        let cells = cells.map(|it| {
            if it.is_empty() {
                " ".to_owned()
            } else {
                format!(" {it} ")
            }
        });
        writeln!(seen, "|{}|", cells.join("|")).unwrap();
    }
    seen
}

async fn each_example_is_what_happens(engine: Engine) {
    // Read when it runs: a change of the page needs no build.
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/policy-examples.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (head, sections) = page.split_once("\n## ").unwrap();
    let plan = &blocks(head)[0];
    let mut wrong = Vec::new();
    let mut tables = 0;
    for section in sections.split("\n## ") {
        let policies = blocks(section);
        assert_eq!(policies.len(), 1, "{section}");
        for table in section.split(HEAD).skip(1) {
            let rows = table.lines().skip(2).take_while(|it| it.starts_with('|'));
            let written: Vec<&str> = rows.collect();
            let cells = written.iter().map(|it| {
                let cells = it.trim_matches('|').split('|').map(str::trim);
                cells.collect::<Vec<_>>()
            });
            let cells: Vec<Vec<&str>> = cells.collect();
            let seen = played(engine, plan, &policies[0], &cells).await;
            let written = format!(
                "{HEAD}\n| --- | --- | --- | --- | --- |\n{}\n",
                written.join("\n")
            );
            if seen != written {
                wrong.push(format!("under {}:\n{written}is\n{seen}", policies[0]));
            }
            tables += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tables >= 15, "{tables}");
}

on_both_stores! { each_example_is_what_happens }
