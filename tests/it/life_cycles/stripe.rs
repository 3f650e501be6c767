//! Lives of Stripe's customers.

use serde_json::{Value, json};
use tollgate::domain::policy::{
    OnCollectionPause, OnDisputeLost, OnDisputeOpened, OnEnd, OnFullRefund, OnPause,
};

use super::rig::Life;

const SUBSCRIBED: &str =
    "stripe/customer.created--new stripe/customer.subscription.created--active";

/// What comes along with the first payment.
const PAID: &str = "stripe/charge.succeeded--first-payment
    stripe/payment_intent.succeeded--first-payment stripe/invoice.paid--first-payment";

const RENEWED: &str = "stripe/customer.subscription.updated--renewed stripe/invoice.paid--renewal";

const FAILED: &str = "stripe/customer.subscription.updated--second-renewal
    stripe/invoice.payment_failed--renewal stripe/customer.subscription.updated--past-due";

const TRIAL: &str = "stripe/customer.created--trial stripe/customer.subscription.created--trialing";

/// Sign-up and failure of the one whose retries are used up.
const RETRIED: &str = "stripe/customer.created--unpaid
    stripe/customer.subscription.created--before-unpaid
    stripe/customer.subscription.updated--past-due-first
    stripe/invoice.payment_failed--last-attempt";

/// The first payment of the one whose retries are used up.
fn first_paid(payload: &mut Value) {
    payload["type"] = json!("invoice.paid");
    payload["created"] = json!(1_772_787_604);
    let invoice = &mut payload["data"]["object"];
    invoice["id"] = json!("in_1TgEli000000000000000001");
    invoice["billing_reason"] = json!("subscription_create");
    invoice["amount_paid"] = json!(2900);
    invoice["lines"]["data"][0]["period"] = json!({ "start": 1_772_787_602, "end": 1_775_466_002 });
}

const YEARLY: &str = "stripe/customer.created--yearly
    stripe/customer.subscription.created--yearly stripe/charge.succeeded--yearly
    stripe/invoice.paid--yearly";

/// What the event is made of anew: its second, and the subscription's status after and before.
fn becomes(second: i64, status: &'static str, before: &'static str) -> impl Fn(&mut Value) {
    move |payload| {
        payload["created"] = json!(second);
        payload["data"]["object"]["status"] = json!(status);
        payload["data"]["previous_attributes"] = json!({ "status": before });
    }
}

/// The subscription is deleted at a second.
fn deleted(second: i64, reason: &'static str) -> impl Fn(&mut Value) {
    move |payload| {
        payload["type"] = json!("customer.subscription.deleted");
        payload["created"] = json!(second);
        let object = &mut payload["data"]["object"];
        object["status"] = json!("canceled");
        object["ended_at"] = json!(second);
        object["cancellation_details"] = json!({ "reason": reason });
        payload["data"]["previous_attributes"] = Value::Null;
    }
}

#[test]
fn a_sign_up_through_checkout() {
    Life::of("Checkout")
        .then("stripe/customer.created--new")
        .shows("active: nothing")
        .then("stripe/customer.subscription.created--active")
        .shows("active: team")
        .then(PAID)
        .then("stripe/checkout.session.completed--subscription stripe/customer.updated--email")
        .shows("active: team")
        .check();
    Life::of("Checkout whose payment takes days")
        .then_edited(
            "stripe/checkout.session.completed--subscription",
            |payload| {
                payload["data"]["object"]["payment_status"] = json!("unpaid");
            },
        )
        .shows("active: nothing")
        .check();
}

#[test]
fn a_sign_up_through_the_api_that_is_paid_later_or_never() {
    let declined = "stripe/customer.created--declined
        stripe/customer.subscription.created--incomplete
        stripe/invoice.payment_failed--first-payment";
    Life::of("never paid")
        .then(declined)
        .shows("active: nothing")
        .then("stripe/customer.subscription.updated--incomplete-expired")
        .shows("active: nothing")
        .check();
    Life::of("paid later")
        .then(declined)
        .then_edited(
            "stripe/customer.subscription.updated--incomplete-expired",
            |payload| {
                becomes(1_772_614_900, "active", "incomplete")(payload);
                payload["data"]["object"]["ended_at"] = Value::Null;
            },
        )
        .shows("active: team")
        .check();
    Life::of("action required")
        .then(declined)
        .then_edited("stripe/invoice.payment_failed--first-payment", |payload| {
            payload["type"] = json!("invoice.payment_action_required");
        })
        .shows("active: nothing")
        .check();
}

#[test]
fn a_trial_with_and_without_payment() {
    Life::of("no payment method, then one")
        .then(TRIAL)
        .shows("active: team")
        .then("stripe/customer.subscription.paused--trial-end")
        .shows("suspended by billing: nothing")
        .then("stripe/customer.subscription.resumed--card-added")
        .then("stripe/charge.succeeded--after-trial stripe/invoice.paid--after-trial")
        .shows("active: team")
        .check();
    for (on_pause, expected) in [
        (OnPause::Freeze, "suspended by billing: nothing"),
        (OnPause::Keep, "active: team"),
    ] {
        let paused = |edit: fn(&mut Value)| {
            Life::of("no payment method")
                .under(|policy| policy.on_pause = on_pause)
                .then(TRIAL)
                .then_edited("stripe/customer.subscription.paused--trial-end", edit)
        };
        // Nobody paid, so nothing stays.
        paused(|_| ()).shows(expected).check();
        let says_why: fn(&mut Value) = |payload| {
            let reason = json!({ "type": "trial_end_without_payment_method" });
            payload["data"]["object"]["status_details"] =
                json!({ "paused": { "subscription": reason } });
        };
        paused(says_why)
            .shows("suspended by billing: nothing")
            .check();
    }
    Life::of("paid")
        .then(TRIAL)
        .then_edited(
            "stripe/customer.subscription.resumed--card-added",
            |payload| {
                becomes(1_773_738_002, "active", "trialing")(payload);
                payload["type"] = json!("customer.subscription.updated");
            },
        )
        .then("stripe/charge.succeeded--after-trial stripe/invoice.paid--after-trial")
        .shows("active: team")
        .check();
    Life::of("cancelled at its end")
        .then(TRIAL)
        .then_edited(
            "stripe/customer.subscription.paused--trial-end",
            deleted(1_773_738_002, "payment_failed"),
        )
        .shows("expired by billing: nothing")
        .check();
    Life::of("the first payment after it fails")
        .then(TRIAL)
        .then_edited(
            "stripe/customer.subscription.resumed--card-added",
            |payload| {
                becomes(1_773_738_002, "past_due", "trialing")(payload);
                payload["type"] = json!("customer.subscription.updated");
            },
        )
        .shows("suspended by billing: nothing")
        .check();
}

#[test]
fn a_renewal_that_is_paid() {
    Life::of("renewal")
        .then(SUBSCRIBED)
        .then(PAID)
        .then(RENEWED)
        .shows("active: team")
        .check();
}

#[test]
fn a_renewal_that_fails_is_retried_and_recovers() {
    Life::of("recovered")
        .then(SUBSCRIBED)
        .then(RENEWED)
        .then("stripe/customer.subscription.updated--second-renewal")
        .shows("active: team")
        .then("stripe/invoice.payment_failed--renewal")
        .shows("active: team")
        .then("stripe/customer.subscription.updated--past-due")
        .shows("suspended by billing: nothing")
        .then("stripe/invoice.payment_failed--second-attempt")
        .shows("suspended by billing: nothing")
        .then("stripe/invoice.paid--recovered stripe/customer.subscription.updated--recovered")
        .shows("active: team")
        .check();
    Life::of("the grace counts from the first failure")
        .under(|policy| policy.suspend_after = "4d".parse().unwrap())
        .then(SUBSCRIBED)
        .then(FAILED)
        .then("stripe/invoice.payment_failed--second-attempt")
        .shows("active: team")
        .shows_at("2026-05-06T10:00:03.000Z", "active: team")
        .shows_at("2026-05-06T10:00:04.000Z", "suspended by billing: nothing")
        .check();
    Life::of("action required off-session")
        .then(SUBSCRIBED)
        .then_edited("stripe/invoice.payment_failed--renewal", |payload| {
            payload["type"] = json!("invoice.payment_action_required");
        })
        .then("stripe/customer.subscription.updated--second-renewal")
        .shows("active: team")
        .then("stripe/customer.subscription.updated--past-due")
        .shows("suspended by billing: nothing")
        .check();
}

#[test]
fn retries_that_are_used_up() {
    let retried = |name| {
        Life::of(name)
            .then(RETRIED)
            .then_edited("stripe/invoice.payment_failed--last-attempt", first_paid)
    };
    retried("unpaid")
        .then("stripe/customer.subscription.updated--unpaid")
        .shows("suspended by billing: nothing")
        .shows_at("2026-04-20T10:00:01.000Z", "suspended by billing: nothing")
        .shows_at(
            "2026-04-20T10:00:02.000Z",
            "frozen at 2026-04-06T09:00:02.000Z by billing: team",
        )
        .check();
    Life::of("unpaid, and never paid before")
        .then(RETRIED)
        .then("stripe/customer.subscription.updated--unpaid")
        .shows_at("2026-04-20T10:00:02.000Z", "expired by billing: nothing")
        .check();
    Life::of("unpaid is not healed by a payment alone")
        .then(RETRIED)
        .then("stripe/customer.subscription.updated--unpaid")
        .then_edited("stripe/invoice.payment_failed--last-attempt", |payload| {
            payload["type"] = json!("invoice.paid");
            payload["created"] = json!(1_776_675_610);
        })
        .shows("suspended by billing: nothing")
        .then_edited(
            "stripe/customer.subscription.updated--unpaid",
            becomes(1_776_675_700, "active", "unpaid"),
        )
        .shows("active: team")
        .check();
    retried("cancelled")
        .then_edited(
            "stripe/customer.subscription.updated--unpaid",
            deleted(1_776_000_000, "payment_failed"),
        )
        .shows("frozen at 2026-04-06T09:00:02.000Z by billing: team")
        .check();
    retried("left past due")
        .under(|policy| policy.on_end = OnEnd::Expire)
        .shows("suspended by billing: nothing")
        .shows_at("2026-04-20T10:00:02.000Z", "expired by billing: nothing")
        .check();
}

#[test]
fn a_plan_change_and_several_items_and_subscriptions() {
    Life::of("plan change")
        .then(SUBSCRIBED)
        .then("stripe/customer.subscription.updated--plan-change")
        .shows("active: business")
        .check();
    let second_item = |payload: &mut Value| {
        let items = payload["data"]["object"]["items"]["data"]
            .as_array_mut()
            .unwrap();
        let mut item = items[0].clone();
        item["id"] = json!("si_2");
        item["price"]["id"] = json!("price_1TgBusinessMonthly00000001");
        items.push(item);
    };
    Life::of("two items")
        .then("stripe/customer.created--new")
        .then_edited("stripe/customer.subscription.created--active", second_item)
        .shows("active: business and team")
        .then("stripe/customer.subscription.updated--renewed")
        .shows("active: team")
        .check();
    let of_ada = |payload: &mut Value| {
        payload["data"]["object"]["customer"] = json!("cus_TgAda0000000001");
    };
    // The trial of somebody else, made long and given to the same customer.
    let of_ada = move |payload: &mut Value| {
        of_ada(payload);
        let subscription = &mut payload["data"]["object"];
        let end = json!(1_790_000_000);
        subscription["trial_end"] = end.clone();
        if subscription["current_period_end"].is_number() {
            subscription["current_period_end"] = end.clone();
        }
        let item = &mut subscription["items"]["data"][0];
        if item["current_period_end"].is_number() {
            item["current_period_end"] = end;
        }
    };
    Life::of("two subscriptions")
        .then(SUBSCRIBED)
        .then("stripe/customer.subscription.updated--plan-change")
        .then_edited("stripe/customer.subscription.created--trialing", of_ada)
        .shows("active: business and team")
        .then_edited("stripe/customer.subscription.paused--trial-end", of_ada)
        .shows("active: business")
        .then("stripe/customer.subscription.deleted--at-period-end")
        .shows("frozen at 2026-06-02T09:00:03.000Z by billing: business")
        .then_edited("stripe/customer.subscription.resumed--card-added", of_ada)
        .shows("active: business and team")
        .check();
    Life::of("items that were cut")
        .then("stripe/customer.created--new")
        .then_edited("stripe/customer.subscription.created--active", |payload| {
            payload["data"]["object"]["items"]["has_more"] = json!(true);
        })
        .shows("active: team, look at items_incomplete")
        .then("stripe/customer.subscription.updated--renewed")
        .shows("active: team")
        .check();
}

#[test]
fn a_cancellation_now_at_the_end_of_the_period_and_taken_back() {
    Life::of("now")
        .then(SUBSCRIBED)
        .then_edited(
            "stripe/customer.subscription.updated--renewed",
            deleted(1_775_120_403, "cancellation_requested"),
        )
        .shows("frozen at 2026-04-02T09:00:03.000Z by billing: team")
        .check();
    Life::of("now, where an end is an end")
        .under(|policy| policy.on_end = OnEnd::Expire)
        .then(SUBSCRIBED)
        .then_edited(
            "stripe/customer.subscription.updated--renewed",
            deleted(1_775_120_403, "cancellation_requested"),
        )
        .shows("expired by billing: nothing")
        .check();
    Life::of("at the end of the period, taken back in the same second, and again")
        .then(SUBSCRIBED)
        .then("stripe/customer.subscription.updated--plan-change")
        .then("stripe/customer.subscription.updated--cancel-scheduled")
        .shows("active: business")
        .shows_at("2026-06-02T09:00:02.000Z", "active: business")
        .shows_at(
            "2026-06-02T09:00:03.000Z",
            "frozen at 2026-06-02T09:00:03.000Z by billing: business",
        )
        .then("stripe/customer.subscription.updated--cancel-undone")
        .shows_at("2026-06-02T09:00:03.000Z", "active: business")
        .then("stripe/customer.subscription.updated--cancel-scheduled-again")
        .shows_at(
            "2026-06-02T09:00:03.000Z",
            "frozen at 2026-06-02T09:00:03.000Z by billing: business",
        )
        .then("stripe/customer.subscription.deleted--at-period-end")
        .shows("frozen at 2026-06-02T09:00:03.000Z by billing: business")
        .check();
}

#[test]
fn a_pause_of_the_collection() {
    let paused = || {
        Life::of("collection paused")
            .then(YEARLY)
            .then("stripe/customer.subscription.updated--collection-paused")
    };
    paused().shows("active: team").check();
    paused()
        .under(|policy| policy.on_collection_pause = OnCollectionPause::Suspend)
        .shows("suspended by billing: nothing")
        .then("stripe/customer.subscription.updated--collection-resumed")
        .shows("active: team")
        .check();
}

#[test]
fn refunds_of_a_part_of_all_and_one_that_fails() {
    let failed = |payload: &mut Value| {
        payload["type"] = json!("refund.failed");
        payload["created"] = json!(1_774_260_000);
        payload["data"]["object"]["status"] = json!("failed");
    };
    Life::of("refund")
        .then(YEARLY)
        .then_linked("in_1TgDee000000000000000001", "pi_3TgDee000000000000000001")
        .then("stripe/charge.refunded--part stripe/refund.created--part")
        .shows("active: team")
        .then("stripe/charge.refunded--full")
        .shows("active: team, look at full_refund")
        .then_edited("stripe/refund.created--part", failed)
        .shows("active: team")
        .check();
    Life::of("refund that ends access")
        .under(|policy| policy.on_full_refund = OnFullRefund::Expire)
        .then(YEARLY)
        .then_linked("in_1TgDee000000000000000001", "pi_3TgDee000000000000000001")
        .then("stripe/charge.refunded--part")
        .shows("active: team")
        .then("stripe/charge.refunded--full")
        .shows("expired by refund: nothing")
        .then_edited("stripe/refund.created--part", failed)
        .shows("active: team")
        .check();
}

#[test]
fn disputes_that_are_lost_won_and_only_asked_about() {
    let paid_after_trial = "stripe/customer.subscription.resumed--card-added
        stripe/charge.succeeded--after-trial stripe/invoice.paid--after-trial";
    let opened = "stripe/charge.dispute.created--chargeback
        stripe/charge.dispute.funds_withdrawn--chargeback";
    let lost = || {
        Life::of("lost")
            .then(TRIAL)
            .then(paid_after_trial)
            .then(opened)
            .shows("active: team, look at open_dispute")
            .then("stripe/charge.dispute.updated--under-review")
            .shows("active: team, look at open_dispute")
            .then("stripe/charge.dispute.closed--lost")
    };
    // Its renewal in April is missing from the story.
    lost()
        .shows("suspended by dispute: nothing, look at overdue")
        .check();
    lost()
        .under(|policy| policy.on_dispute_lost = OnDisputeLost::Expire)
        .shows("expired by dispute: nothing, look at overdue")
        .check();
    lost()
        .under(|policy| policy.on_dispute_lost = OnDisputeLost::Keep)
        .shows("active: team, look at overdue")
        .check();
    let won = "stripe/charge.dispute.closed--won stripe/charge.dispute.funds_reinstated--won";
    let contested = || {
        Life::of("won")
            .then("stripe/customer.created--unpaid")
            .then("stripe/customer.subscription.created--before-unpaid")
            .then("stripe/payment_intent.succeeded--before-chargeback")
            .then("stripe/charge.dispute.created--contested")
    };
    contested()
        .shows("active: team, look at open_dispute and overdue")
        .then(won)
        .shows("active: team, look at overdue")
        .check();
    contested()
        .under(|policy| policy.on_dispute_opened = OnDisputeOpened::Suspend)
        .shows("suspended by dispute: nothing, look at open_dispute and overdue")
        .then(won)
        .shows("active: team, look at overdue")
        .check();
    Life::of("inquiry")
        .under(|policy| policy.on_dispute_opened = OnDisputeOpened::Suspend)
        .then(YEARLY)
        .then("stripe/charge.dispute.created--inquiry")
        .shows("active: team, look at open_dispute")
        .then("stripe/charge.dispute.closed--inquiry-closed")
        .shows("active: team")
        .check();
}

#[test]
fn a_customer_who_is_deleted_at_the_provider() {
    let frozen = "frozen at 2026-04-21T09:00:00.000Z by billing: team";
    Life::of("with the end of the subscription")
        .then(YEARLY)
        .then("stripe/customer.subscription.deleted--customer-deleted")
        .then("stripe/customer.deleted--by-seller")
        .shows(frozen)
        .check();
    Life::of("without it")
        .then(YEARLY)
        .then("stripe/customer.deleted--by-seller")
        .shows(frozen)
        .check();
    Life::of("nothing revives")
        .then(YEARLY)
        .then("stripe/customer.deleted--by-seller")
        .then_edited(
            "stripe/customer.subscription.updated--collection-resumed",
            |payload| payload["created"] = json!(1_776_800_000),
        )
        .shows(frozen)
        .check();
}

#[test]
fn a_sale_without_a_subscription_changes_no_customer() {
    let of_ada = |payload: &mut Value| {
        payload["data"]["object"]["customer"] = json!("cus_TgAda0000000001");
    };
    Life::of("one-off")
        .then(SUBSCRIBED)
        .then_edited("stripe/invoice.payment_failed--one-off", of_ada)
        .shows("active: team")
        .then_edited("stripe/invoice.paid--one-off", of_ada)
        .shows("active: team")
        .check();
}
