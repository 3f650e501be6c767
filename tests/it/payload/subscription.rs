//! What a subscription looked like.

use serde_json::{Value, json};
use tollgate::domain::billing::fact::SubscriptionStatus;
use tollgate::domain::time::Timestamp;
use tollgate::provider::{PADDLE, STRIPE};

use super::support::{NEW, OLD, item, load, paddle, subscription, test};

#[test]
fn a_changed_subscription_shows_its_state_and_the_one_before() {
    for version in [OLD, NEW] {
        let file = format!("stripe/customer.subscription.updated--plan-change{version}");
        let fact = subscription(STRIPE.name, &load(&file));
        let team = item("price_1TgTeamMonthly0000000001", "prod_TgTeam00000001", 1);
        let business = item(
            "price_1TgBusinessMonthly00000001",
            "prod_TgBusiness000001",
            2,
        );
        let end = Timestamp::parse("2026-06-02T09:00:03Z");
        assert_eq!(
            fact.subscription,
            test("sub_1TgAda000000000000000001"),
            "{file}"
        );
        assert_eq!(fact.state.status, SubscriptionStatus::Active, "{file}");
        assert_eq!(fact.state.items, [business], "{file}");
        assert_eq!(fact.state.period_end, end, "{file}");
        assert_eq!(fact.state.cancel_at, None, "{file}");
        assert_eq!(
            fact.state.account,
            Some(test("cus_TgAda0000000001")),
            "{file}"
        );
        assert!(!fact.state.collection_paused && !fact.created, "{file}");
        assert_eq!(fact.request.as_deref(), Some("req_TgAda00000016"), "{file}");
        assert_eq!(fact.ended_at, None, "{file}");
        let before = fact.before.unwrap();
        assert_eq!(before.items, [team], "{file}");
        assert_eq!(
            (before.status, before.period_end, before.account),
            (fact.state.status, fact.state.period_end, fact.state.account),
            "{file}: what did not change"
        );
    }
}

#[test]
fn scheduling_an_end_and_taking_it_back_are_each_others_before() {
    for version in [OLD, NEW] {
        let read = |what: &str| {
            let file = format!("stripe/customer.subscription.updated--{what}{version}");
            subscription(STRIPE.name, &load(&file))
        };
        let (scheduled, undone) = (read("cancel-scheduled"), read("cancel-undone"));
        let end = Timestamp::parse("2026-06-02T09:00:03Z");
        assert_eq!(scheduled.state.cancel_at, end, "{version}");
        assert_eq!(undone.state.cancel_at, None, "{version}");
        assert_eq!(scheduled.before.as_ref(), Some(&undone.state), "{version}");
        assert_eq!(undone.before.as_ref(), Some(&scheduled.state), "{version}");
    }
}

#[test]
fn what_a_subscription_shows_is_read_from_every_place() {
    let file = format!("stripe/customer.subscription.created--active{NEW}");
    let edit = |edit: &dyn Fn(&mut Value)| {
        let mut payload = load(&file);
        edit(&mut payload["data"]["object"]);
        subscription(STRIPE.name, &payload)
    };
    let plain = edit(&|_| ());
    assert!(plain.created);
    assert_eq!(plain.before, None);

    let expanded = edit(&|object| {
        object["customer"] = json!({"id": object["customer"], "object": "customer"});
        let product = object["items"]["data"][0]["price"]["product"].clone();
        object["items"]["data"][0]["price"]["product"] = json!({"id": product});
    });
    assert_eq!(expanded, plain, "expanded objects");

    let with_plan = edit(&|object| {
        let item = &mut object["items"]["data"][0];
        item["plan"] = item["price"].take();
    });
    assert_eq!(with_plan, plain, "`plan` in place of `price`");

    let bare = edit(&|object| {
        let price = object["items"]["data"][0]["price"].clone();
        object["current_period_end"] = object["items"]["data"][0]["current_period_end"].clone();
        object["items"] = Value::Null;
        object["plan"] = price;
        object["quantity"] = json!(1);
    });
    assert_eq!(bare, plain, "`plan` on the subscription");

    let two = edit(&|object| {
        let mut second = object["items"]["data"][0].clone();
        second["current_period_end"] = json!(1_900_000_000);
        second["quantity"] = Value::Null;
        object["items"]["data"].as_array_mut().unwrap().push(second);
    });
    assert_eq!(
        two.state.period_end,
        Timestamp::from_seconds(1_900_000_000),
        "the latest end"
    );
    assert_eq!(two.state.items[1].quantity, None, "a metered item");

    let v2 = edit(&|object| {
        object["customer"] = Value::Null;
        object["customer_account"] = json!("acct_buyer");
    });
    assert_eq!(
        v2.state.account,
        Some(test("acct_buyer")),
        "a customer of the accounts API"
    );

    let expanded = edit(&|object| {
        object["latest_invoice"] = json!({"id": object["latest_invoice"], "object": "invoice"});
        object["test_clock"] = json!({"id": "clock_1", "object": "test_helpers.test_clock"});
    });
    let invoice = Some("in_1TgAda000000000000000001");
    assert_eq!(plain.state.latest_invoice.as_deref(), invoice);
    assert_eq!(expanded.state.latest_invoice.as_deref(), invoice);
    assert_eq!(expanded.state.test_clock.as_deref(), Some("clock_1"));
    assert_eq!((plain.state.test_clock, plain.imported), (None, false));

    let named = edit(&|object| {
        object["items"]["data"][0]["price"]["lookup_key"] = json!("team_monthly");
    });
    assert_eq!(
        named.state.items[0].lookup_key.as_deref(),
        Some("team_monthly")
    );

    let unknown = edit(&|object| object["status"] = json!("hologram"));
    assert_eq!(
        unknown.state.status,
        SubscriptionStatus::Unknown("hologram".to_owned())
    );
}

#[test]
fn a_subscription_that_ended_says_when() {
    let mut payload = load(&format!(
        "stripe/customer.subscription.deleted--at-period-end{NEW}"
    ));
    let fact = subscription(STRIPE.name, &payload);
    assert_eq!(fact.state.status, SubscriptionStatus::Canceled);
    assert_eq!(fact.ended_at, Timestamp::parse("2026-06-02T09:00:03Z"));
    // An end can be told without what was bought, and whatever the status says.
    payload["data"]["object"]["items"] = Value::Null;
    payload["data"]["object"]["status"] = json!("active");
    let fact = subscription(STRIPE.name, &payload);
    assert_eq!(
        (fact.state.status, fact.state.items.len()),
        (SubscriptionStatus::Canceled, 0)
    );

    let file = "paddle/subscription.canceled--at-period-end.json";
    let mut payload = load(file);
    payload["data"]["canceled_at"] = json!("2024-01-11T08:34:01.787929969Z");
    let fact = subscription(PADDLE.name, &payload);
    assert_eq!(
        fact.ended_at,
        Some(Timestamp::from_nanos(1_704_962_041_787_929_969))
    );
}

#[test]
fn an_incomplete_list_of_items_is_reported() {
    let mut payload = load(&format!(
        "stripe/customer.subscription.created--active{NEW}"
    ));
    let incomplete = |payload: &Value| subscription(STRIPE.name, payload).state.items_incomplete;
    assert!(!incomplete(&payload));
    payload["data"]["object"]["items"]["has_more"] = json!(true);
    assert!(incomplete(&payload));
}

/// As many items as fit into a webhook.
fn very_many_items() -> Value {
    (0..40_000)
        .map(|n| json!({"price": {"id": format!("p{n}")}}))
        .collect()
}

#[test]
fn items_beyond_all_reason_are_left_out_and_reported() {
    let stripe = format!("stripe/customer.subscription.updated--plan-change{NEW}");
    let mut payload = load(&stripe);
    payload["data"]["object"]["items"]["data"] = very_many_items();
    payload["data"]["previous_attributes"]["items"]["data"] = very_many_items();
    let fact = subscription(STRIPE.name, &payload);
    assert!(fact.state.items_incomplete);
    assert_eq!(fact.state.items.len(), 500);
    assert_eq!(fact.state.items[499].price, "p499");
    let before = fact.before.unwrap();
    assert!(before.items_incomplete);
    assert_eq!(before.items.len(), 500);

    let mut payload = load("paddle/subscription.updated--plan-change.json");
    payload["data"]["items"] = very_many_items();
    let fact = subscription(PADDLE.name, &payload);
    assert!(fact.state.items_incomplete);
    assert_eq!(fact.state.items.len(), 500);
    // As many as are read are not too many.
    payload["data"]["items"]
        .as_array_mut()
        .unwrap()
        .truncate(500);
    let fact = subscription(PADDLE.name, &payload);
    assert!(!fact.state.items_incomplete);
    assert_eq!(fact.state.items.len(), 500);
}

#[test]
fn a_paused_subscription_says_why() {
    let file = "stripe/customer.subscription.paused--by-request--2026-10-28.endive.json";
    let payload = load(file);
    let fact = subscription(STRIPE.name, &payload);
    let before = fact.before.unwrap();
    assert_eq!(fact.state.status, SubscriptionStatus::Paused);
    assert_eq!(fact.state.pause_reason.as_deref(), Some("pause_requested"));
    assert_eq!(before.status, SubscriptionStatus::Active);
    assert_eq!(before.pause_reason, None);
    for state in [fact.state, before] {
        let clock = Some("clock_1TgMia00000000000000001");
        assert_eq!(state.test_clock.as_deref(), clock);
        assert_eq!(state.items[0].lookup_key.as_deref(), Some("team_monthly"));
    }
}

#[test]
fn a_pause_that_says_nothing_is_of_a_trial_that_ended_in_it() {
    for version in [OLD, NEW] {
        let file = format!("stripe/customer.subscription.paused--trial-end{version}");
        let mut payload = load(&file);
        let after_trial = subscription(STRIPE.name, &payload).state.pause_reason;
        assert_eq!(after_trial, None, "{version}: a later period is paused");

        // As Stripe sends it: the period is still the trial's.
        let object = &mut payload["data"]["object"];
        for place in ["", "/items/data/0"] {
            let of_period = object.pointer_mut(place).unwrap();
            if of_period["current_period_start"].is_number() {
                of_period["current_period_start"] = json!(1_772_528_402);
            }
        }
        let fact = subscription(STRIPE.name, &payload);
        let ended = Some("trial_end_without_payment_method");
        assert_eq!(fact.state.pause_reason.as_deref(), ended, "{version}");
        assert_eq!(fact.before.unwrap().pause_reason, None, "{version}");

        let reason = |payload: &Value| subscription(STRIPE.name, payload).state.pause_reason;
        payload["data"]["object"]["status"] = json!("active");
        assert_eq!(reason(&payload), None, "{version}");
    }
}

#[test]
fn the_invoice_before_is_a_part_of_the_state_before() {
    for version in [OLD, NEW] {
        let file = format!("stripe/customer.subscription.updated--renewed{version}");
        let fact = subscription(STRIPE.name, &load(&file));
        let (now, before) = (fact.state, fact.before.unwrap());
        let shown = [&now, &before].map(|state| state.latest_invoice.as_deref());
        let invoices = [
            Some("in_1TgAda000000000000000002"),
            Some("in_1TgAda000000000000000001"),
        ];
        assert_eq!(shown, invoices, "{file}");
    }
}

#[test]
fn a_paused_collection_leaves_the_status() {
    let file = format!("stripe/customer.subscription.updated--collection-paused{NEW}");
    let fact = subscription(STRIPE.name, &load(&file));
    assert_eq!(fact.state.status, SubscriptionStatus::Active);
    assert!(fact.state.collection_paused);
    assert!(!fact.before.unwrap().collection_paused);
}

#[test]
fn all_fields_of_a_paddle_subscription_are_read() {
    let fact = subscription(
        PADDLE.name,
        &load("paddle/subscription.updated--cancel-scheduled.json"),
    );
    let business = item(
        "pri_01ktbsns000000000000000001",
        "pro_01ktbsns000000000000000001",
        3,
    );
    let end = Timestamp::parse("2026-06-09T09:00:40Z");
    assert_eq!(fact.subscription, paddle("sub_01ktfay0000000000000000001"));
    assert_eq!(fact.state.items, [business]);
    assert_eq!(fact.state.period_end, end);
    assert_eq!(fact.state.cancel_at, end);
    assert_eq!(
        fact.state.account,
        Some(paddle("ctm_01ktfay0000000000000000001"))
    );
    assert_eq!(
        (fact.before, fact.created, fact.request),
        (None, false, None)
    );

    let paused = load("paddle/subscription.updated--pause-scheduled.json");
    let fact = subscription(PADDLE.name, &paused);
    assert_eq!(fact.state.cancel_at, None, "a scheduled pause is no end");

    for (kind, imported) in [("created--active", false), ("imported--moved", true)] {
        let payload = load(&format!("paddle/subscription.{kind}.json"));
        let fact = subscription(PADDLE.name, &payload);
        assert_eq!((fact.created, fact.imported), (true, imported), "{kind}");
    }
}
