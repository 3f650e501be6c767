//! The objects that a provider has: in memory, or made by their number.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::seconds;

/// The lists of both providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    Customers,
    Subscriptions,
    Payments,
    Disputes,
    Refunds,
    Events,
    /// What Stripe's customers are entitled to: an object a customer, with his id.
    Features,
}

/// A part of a list, oldest objects first or newest first.
pub(crate) struct Part {
    pub(crate) objects: Vec<Value>,
    pub(crate) has_more: bool,
}

/// What a provider has.
pub(crate) trait Objects: Send + Sync {
    /// The objects behind one, in the order in which they were made or the reverse; `None` if there
    /// is none of that id.
    fn part(
        &self,
        list: List,
        after: Option<&str>,
        most: usize,
        newest_first: bool,
        matches: &dyn Fn(&Value) -> bool,
    ) -> Option<Part>;

    /// An object.
    fn get(&self, list: List, id: &str) -> Option<Value>;
}

/// Objects in memory.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<List, Vec<Value>>>);

impl Memory {
    /// Adds an object at the end, or puts it in the place of the one with its id.
    pub(crate) fn put(&self, list: List, object: Value) {
        let mut lists = self.0.lock().unwrap();
        let objects = lists.entry(list).or_default();
        match objects.iter_mut().find(|it| id(it) == id(&object)) {
            Some(place) => *place = object,
            None => objects.push(object),
        }
    }

    /// Changes an object.
    pub(crate) fn change(&self, list: List, wanted: &str, change: impl FnOnce(&mut Value)) {
        let mut lists = self.0.lock().unwrap();
        let objects = lists.entry(list).or_default();
        change(objects.iter_mut().find(|it| id(it) == wanted).unwrap());
    }

    /// Removes an object.
    pub(crate) fn remove(&self, list: List, wanted: &str) {
        let mut lists = self.0.lock().unwrap();
        lists.entry(list).or_default().retain(|it| id(it) != wanted);
    }

    /// Moves an object to the end of its list, where the newest are.
    pub(crate) fn move_to_end(&self, list: List, wanted: &str) {
        let mut lists = self.0.lock().unwrap();
        let objects = lists.entry(list).or_default();
        let place = objects.iter().position(|it| id(it) == wanted).unwrap();
        let object = objects.remove(place);
        objects.push(object);
    }

    /// All objects of a list.
    pub(crate) fn all(&self, list: List) -> Vec<Value> {
        let lists = self.0.lock().unwrap();
        lists.get(&list).cloned().unwrap_or_default()
    }

    /// Sorts a list by when its objects were made.
    pub(crate) fn sort(&self, list: List) {
        let mut lists = self.0.lock().unwrap();
        let made = |it: &Value| {
            let place = ["created", "created_at", "occurred_at"];
            place.iter().find_map(|place| seconds(&it[*place]))
        };
        lists.entry(list).or_default().sort_by_key(made);
    }
}

fn id(object: &Value) -> &str {
    let id = object["id"].as_str();
    id.or(object["event_id"].as_str()).unwrap_or_default()
}

impl Objects for Memory {
    fn part(
        &self,
        list: List,
        after: Option<&str>,
        most: usize,
        newest_first: bool,
        matches: &dyn Fn(&Value) -> bool,
    ) -> Option<Part> {
        let mut all = self.all(list);
        if newest_first {
            all.reverse();
        }
        let start = match after {
            Some(after) => all.iter().position(|it| id(it) == after)? + 1,
            None => 0,
        };
        let mut objects: Vec<Value> = all.drain(start..).filter(|it| matches(it)).collect();
        let has_more = objects.len() > most;
        objects.truncate(most);
        Some(Part { objects, has_more })
    }

    fn get(&self, list: List, wanted: &str) -> Option<Value> {
        self.all(list).into_iter().find(|it| id(it) == wanted)
    }
}

/// A shop of so many customers with a subscription and a paid invoice each, made by their numbers, so
/// that it takes no memory. Every tenth subscription has ended.
pub(crate) struct Generated {
    pub(crate) count: usize,
    pub(crate) is_stripe: bool,
}

/// The start of the running period of all of them.
const FROM: i64 = 1_794_000_000;

impl Generated {
    fn number(id: &str) -> Option<usize> {
        id.rsplit('_').next()?.trim_start_matches('x').parse().ok()
    }

    fn object(&self, list: List, number: usize) -> Option<Value> {
        if number >= self.count {
            return None;
        }
        let ended = number.is_multiple_of(10);
        let price = if number.is_multiple_of(4) {
            "other"
        } else {
            "basic"
        };
        let until = FROM + 40 * 86_400;
        Some(match (list, self.is_stripe) {
            (List::Customers, true) => json!({
                "id": format!("cus_x{number}"), "object": "customer", "created": FROM,
                "email": format!("c{number}@example.com"), "name": format!("Customer {number}"),
                "livemode": true, "metadata": {},
            }),
            (List::Subscriptions, true) => json!({
                "id": format!("sub_x{number}"), "object": "subscription", "created": FROM,
                "customer": format!("cus_x{number}"), "livemode": true,
                "status": if ended { "canceled" } else { "active" },
                "ended_at": ended.then_some(FROM + 86_400), "cancel_at": null,
                "cancel_at_period_end": false, "metadata": {},
                "latest_invoice": format!("in_x{number}"),
                "items": {"object": "list", "has_more": false, "data": [{
                    "id": format!("si_x{number}"), "object": "subscription_item", "quantity": 1,
                    "current_period_start": FROM, "current_period_end": until,
                    "price": {"id": format!("price_{price}"), "object": "price",
                        "product": format!("prod_{price}"), "lookup_key": null},
                }]},
            }),
            (List::Payments, true) => json!({
                "id": format!("in_x{number}"), "object": "invoice", "created": FROM,
                "customer": format!("cus_x{number}"), "livemode": true, "status": "paid",
                "amount_paid": 1_000, "total": 1_000, "billing_reason": "subscription_cycle",
                "status_transitions": {"paid_at": FROM + 60, "finalized_at": FROM},
                "parent": {"type": "subscription_details", "subscription_details": {
                    "subscription": format!("sub_x{number}"), "metadata": {}}},
                "lines": {"object": "list", "has_more": false, "data": [{
                    "id": format!("il_x{number}"), "object": "line_item", "amount": 1_000,
                    "quantity": 1, "period": {"start": FROM, "end": until},
                    "parent": {"type": "subscription_item_details"},
                    "pricing": {"type": "price_details", "price_details": {
                        "price": format!("price_{price}"), "product": format!("prod_{price}")}},
                }]},
                "payments": {"object": "list", "data": [], "has_more": false},
            }),
            (List::Customers, false) => json!({
                "id": format!("ctm_x{number}"), "email": format!("p{number}@example.com"),
                "name": format!("Customer {number}"), "status": "active", "custom_data": null,
            }),
            (List::Subscriptions, false) => json!({
                "id": format!("sub_x{number}"), "customer_id": format!("ctm_x{number}"),
                "status": if ended { "canceled" } else { "active" },
                "current_billing_period": {"starts_at": "2026-11-01T00:00:00Z",
                    "ends_at": "2026-12-20T00:00:00Z"},
                "canceled_at": ended.then_some("2026-11-02T00:00:00Z"), "scheduled_change": null,
                "items": [{"quantity": 1, "price": {"id": format!("pri_01{price}"),
                    "product_id": format!("pro_01{price}")}}],
                "custom_data": null,
            }),
            _ => return None,
        })
    }
}

impl Objects for Generated {
    fn part(
        &self,
        list: List,
        after: Option<&str>,
        most: usize,
        newest_first: bool,
        matches: &dyn Fn(&Value) -> bool,
    ) -> Option<Part> {
        let mut numbers = match (after, newest_first) {
            (Some(after), true) => (0..Self::number(after)?, true),
            (Some(after), false) => (Self::number(after)? + 1..self.count, false),
            (None, _) => (0..self.count, newest_first),
        };
        if self.object(list, 0).is_none() {
            numbers.0 = 0..0;
        }
        let (range, reverse) = numbers;
        let ordered: Box<dyn Iterator<Item = usize>> = if reverse {
            Box::new(range.rev())
        } else {
            Box::new(range)
        };
        let objects = ordered.filter_map(|number| self.object(list, number));
        let mut objects: Vec<Value> = objects.filter(|it| matches(it)).take(most + 1).collect();
        let has_more = objects.len() > most;
        objects.truncate(most);
        Some(Part { objects, has_more })
    }

    fn get(&self, list: List, id: &str) -> Option<Value> {
        self.object(list, Self::number(id)?)
    }
}
