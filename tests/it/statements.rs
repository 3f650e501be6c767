//! How many statements an admin's act on one customer costs.

use tollgate::domain::customer::act::FreezeOrder;
use tollgate::domain::id::{AppSlug, CustomerId};
use tollgate::domain::time::Timestamp;
use tollgate::pipeline::customers::{Act, Order, act};
use tollgate::pipeline::process::process;
use tollgate::store::{Actor, CustomerFilter, Store, Window};

use crate::process::message;
use crate::support::stores::{Engine, TestStore, on_both_stores};
use crate::support::{stripe_customer, stripe_event, stripe_subscription};

const NOW: i64 = 1_790_000_000;

fn order(now: i64) -> Order {
    Order {
        app: AppSlug::default_app(),
        actor: Actor::Root,
        now: Timestamp::from_seconds(now).unwrap(),
    }
}

/// Makes a customer with one account and one subscription, by the webhooks that a provider sends.
async fn customer_of_webhooks(store: &Store) -> CustomerId {
    let customer = stripe_customer("cus_1", "ada@example.com");
    let subscription = stripe_subscription("sub_1", "cus_1", "active");
    for (n, (kind, object)) in [
        ("customer.created", customer),
        ("customer.subscription.created", subscription),
    ]
    .into_iter()
    .enumerate()
    {
        let event = stripe_event(&format!("evt_{n}"), kind, NOW - 100, object);
        let message = message(&event, &format!("receipt {n}"));
        process(store, &[&message], order(NOW).now).await.unwrap();
    }
    let mut tx = store.read().await.unwrap();
    let window = Window::Walk {
        after: None,
        size: 2,
    };
    let list = tx
        .customer_list(&order(NOW).app, &CustomerFilter::default(), &window)
        .await
        .unwrap();
    assert_eq!(list.rows.len(), 1);
    list.rows[0].id.clone()
}

async fn an_act_on_one_customer_costs_few_statements(engine: Engine) {
    let TestStore {
        store,
        place: _place,
    } = TestStore::new(engine, order(NOW).now).await;
    let id = customer_of_webhooks(&store).await;
    let mut counts = Vec::new();
    for (n, ordered) in [
        Act::Suspend(None),
        Act::Reactivate,
        Act::Freeze(FreezeOrder::default()),
        Act::Expire(None),
    ]
    .into_iter()
    .enumerate()
    {
        let order = order(NOW + 10 * i64::try_from(n).unwrap());
        let before = store.statements();
        let acted = act(&store, &order, &id, ordered).await.unwrap();
        assert!(acted.changed);
        counts.push(store.statements() - before);
    }
    assert_eq!(counts, [22; 4], "suspend, reactivate, freeze, expire");
}

on_both_stores!(an_act_on_one_customer_costs_few_statements);
