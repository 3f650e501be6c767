//! Lives of Paddle's customers.

use serde_json::{Value, json};
use tollgate::domain::policy::{OnFullRefund, OnPause, OnPaymentFailed};

use super::rig::Life;

/// A first purchase, as far as the first access.
const BOUGHT: &str = "paddle/transaction.created--draft paddle/customer.created--new
    paddle/address.created--new paddle/transaction.ready--first-checkout
    paddle/transaction.paid--first-checkout paddle/subscription.created--active
    paddle/subscription.activated--new paddle/transaction.completed--first-checkout
    paddle/transaction.updated--first-checkout";

/// The renewal after it.
const RENEWED: &str = "paddle/subscription.updated--renewed paddle/transaction.completed--renewal";

/// A renewal that fails.
const FAILED: &str = "paddle/transaction.payment_failed--renewal
    paddle/transaction.past_due--renewal paddle/subscription.updated--past-due
    paddle/subscription.past_due--renewal";

const TRIAL: &str = "paddle/customer.created--trial paddle/subscription.created--trialing
    paddle/subscription.trialing--new";

const TRIAL_PAID: &str = "paddle/subscription.activated--trial-end
    paddle/transaction.completed--trial-end";

const MOVED: &str = "paddle/customer.imported--moved paddle/subscription.imported--moved
    paddle/business.created--company";

/// The subscription in a state at an instant.
fn state(status: &'static str, instant: &'static str) -> impl Fn(&mut Value) {
    move |payload| {
        payload["occurred_at"] = json!(instant);
        payload["data"]["status"] = json!(status);
        payload["data"]["canceled_at"] = if status == "canceled" {
            json!(instant)
        } else {
            Value::Null
        };
    }
}

#[test]
fn a_first_purchase_and_a_renewal() {
    Life::of("first purchase")
        .then("paddle/transaction.created--draft")
        .shows("nobody")
        .then("paddle/customer.created--new paddle/address.created--new")
        .then("paddle/transaction.ready--first-checkout")
        .then("paddle/transaction.payment_failed--first-checkout")
        .shows("active: nothing")
        .then("paddle/transaction.paid--first-checkout paddle/subscription.created--active")
        .shows("active: team")
        .then("paddle/subscription.activated--new paddle/transaction.completed--first-checkout")
        .then("paddle/transaction.updated--first-checkout")
        .shows("active: team")
        .then("paddle/subscription.updated--renewed paddle/transaction.created--renewal")
        .then("paddle/transaction.billed--renewal paddle/transaction.completed--renewal")
        .shows("active: team")
        .check();
}

#[test]
fn a_renewal_that_fails_and_recovers() {
    Life::of("recovered")
        .then(BOUGHT)
        .then(RENEWED)
        .then("paddle/transaction.payment_failed--renewal")
        .shows("active: team")
        .then("paddle/transaction.past_due--renewal paddle/subscription.updated--past-due")
        .then("paddle/subscription.past_due--renewal")
        .shows("suspended by billing: nothing")
        .then("paddle/transaction.completed--recovered")
        .shows("active: team")
        .then("paddle/subscription.updated--recovered")
        .shows("active: team")
        .check();
    Life::of("recovered within the grace")
        .under(|policy| policy.suspend_after = "3d".parse().unwrap())
        .then(BOUGHT)
        .then(RENEWED)
        .then(FAILED)
        .shows("active: team")
        .shows_at("2026-05-12T09:00:46.139997Z", "active: team")
        .shows_at(
            "2026-05-12T09:00:46.139998Z",
            "suspended by billing: nothing",
        )
        .then("paddle/transaction.completed--recovered paddle/subscription.updated--recovered")
        .shows("active: team")
        .check();
}

#[test]
fn dunning_that_is_used_up() {
    Life::of("canceled by dunning")
        .then(BOUGHT)
        .then(RENEWED)
        .then(FAILED)
        .then_edited("paddle/subscription.canceled--now", |payload| {
            state("canceled", "2026-05-20T09:00:00.000Z")(payload);
            payload["data"]["id"] = json!("sub_01ktfay0000000000000000001");
            payload["data"]["customer_id"] = json!("ctm_01ktfay0000000000000000001");
        })
        .shows("frozen at 2026-05-09T09:00:40.000Z by billing: team")
        .check();
    let paused = || {
        Life::of("paused by dunning")
            .then(BOUGHT)
            .then(RENEWED)
            .then(FAILED)
            .then_edited(
                "paddle/subscription.updated--past-due",
                state("paused", "2026-05-20T09:00:00.000Z"),
            )
    };
    paused().shows("suspended by billing: nothing").check();
    // Nobody wanted this pause: what is said of failures counts, not what is said of pauses.
    for on_pause in [OnPause::Freeze, OnPause::Keep] {
        paused()
            .under(move |policy| policy.on_pause = on_pause)
            .shows("suspended by billing: nothing")
            .check();
    }
    paused()
        .under(|policy| policy.on_payment_failed = OnPaymentFailed::Freeze)
        .shows("frozen at 2026-05-09T09:00:40.000Z by billing: team")
        .check();
}

/// The payment for the rest of a period after a plan change.
fn upgraded(payload: &mut Value) {
    let text = payload.to_string();
    let text = text.replace(
        "pri_01ktteam000000000000000001",
        "pri_01ktbsns000000000000000001",
    );
    *payload = serde_json::from_str(&text).unwrap();
    payload["occurred_at"] = json!("2026-05-15T09:00:41.000Z");
    payload["data"]["id"] = json!("txn_01ktfay0000000000000000009");
    payload["data"]["origin"] = json!("subscription_update");
    payload["data"]["billing_period"] =
        json!({ "starts_at": "2026-05-15T09:00:40.000Z", "ends_at": "2026-06-09T09:00:40.000Z" });
}

#[test]
fn a_plan_change_then_a_cancellation_at_the_end_of_the_period() {
    Life::of("plan change")
        .then(BOUGHT)
        .then(RENEWED)
        .then("paddle/subscription.updated--plan-change")
        .then_edited("paddle/transaction.completed--renewal", upgraded)
        .shows("active: business")
        .then("paddle/subscription.updated--cancel-scheduled")
        .shows("active: business")
        .shows_at("2026-06-09T09:00:39.000Z", "active: business")
        .shows_at(
            "2026-06-09T09:00:40.000Z",
            "frozen at 2026-06-09T09:00:40.000Z by billing: business and team",
        )
        .then("paddle/subscription.updated--canceled paddle/subscription.canceled--at-period-end")
        .shows("frozen at 2026-06-09T09:00:40.000Z by billing: business and team")
        .check();
    Life::of("a cancellation that is taken back")
        .then(BOUGHT)
        .then("paddle/subscription.updated--cancel-scheduled")
        .then_edited("paddle/subscription.updated--cancel-scheduled", |payload| {
            payload["occurred_at"] = json!("2026-05-19T09:00:00.000Z");
            payload["data"]["scheduled_change"] = Value::Null;
        })
        .shows_at("2026-06-12T09:00:39.000Z", "active: business")
        .shows_at(
            "2026-06-12T09:00:40.000Z",
            "active: business, look at overdue",
        )
        .check();
}

#[test]
fn a_trial_that_is_paid_refunded_and_cancelled() {
    Life::of("trial")
        .then(TRIAL)
        .shows("active: team")
        .then(TRIAL_PAID)
        .shows("active: team")
        .then("paddle/adjustment.created--refund-part-approved")
        .shows("active: team")
        .then("paddle/adjustment.created--refund-pending")
        .shows("active: team")
        .then("paddle/adjustment.updated--refund-approved paddle/adjustment.created--credit")
        .shows("active: team, look at full_refund")
        .then("paddle/subscription.canceled--now paddle/customer.updated--archived")
        .then("paddle/payment_method.deleted--archived")
        .shows("expired by billing: nothing, look at full_refund")
        .check();
    Life::of("trial that is never paid")
        .then(TRIAL)
        .then_edited(
            "paddle/subscription.canceled--now",
            state("canceled", "2026-03-26T09:00:30.000Z"),
        )
        .shows("expired by billing: nothing")
        .check();
}

#[test]
fn parts_of_a_transaction_that_go_back_one_by_one() {
    let second_part = |amount: &'static str, status: &'static str| {
        move |payload: &mut Value| {
            payload["occurred_at"] = json!("2026-03-30T09:00:00.000Z");
            payload["data"]["id"] = json!("adj_01kthaz0000000000000000009");
            payload["data"]["status"] = json!(status);
            payload["data"]["totals"]["total"] = json!(amount);
        }
    };
    let part = "paddle/adjustment.created--refund-part-approved";
    let life = || {
        Life::of("refund in parts")
            .then(TRIAL)
            .then(TRIAL_PAID)
            .then(part)
    };
    let rows = [
        ("1999", "approved", "active: team"),
        ("2000", "approved", "active: team, look at full_refund"),
        ("2000", "pending_approval", "active: team"),
        ("2000", "rejected", "active: team"),
    ];
    for (amount, status, expected) in rows {
        life()
            .then_edited(part, second_part(amount, status))
            .shows(expected)
            .check();
    }
    life()
        .under(|policy| policy.on_full_refund = OnFullRefund::Expire)
        .shows("active: team")
        .then_edited(part, second_part("2000", "approved"))
        .shows("expired by refund: nothing")
        .check();
}

#[test]
fn an_imported_subscription_that_is_paused_resumed_and_disputed() {
    Life::of("imported")
        .then(MOVED)
        .shows("active: team")
        .then("paddle/subscription.updated--pause-scheduled")
        .shows("active: team")
        .then("paddle/subscription.paused--at-period-end")
        .shows("suspended by billing: nothing")
        .then("paddle/subscription.resumed--by-customer paddle/transaction.completed--resumed")
        .shows("active: team")
        .then("paddle/adjustment.created--chargeback-warning")
        .shows("active: team, look at open_dispute")
        .then("paddle/adjustment.created--chargeback-warning-reverse")
        .shows("active: team")
        .then("paddle/adjustment.created--chargeback")
        .shows("active: team, look at open_dispute")
        .then("paddle/adjustment.created--chargeback-reverse")
        .shows("active: team")
        .then("paddle/adjustment.updated--chargeback-reversed")
        .shows("active: team")
        .check();
}
