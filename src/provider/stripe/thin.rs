//! Event notifications ("thin events"), by type.
//! <https://docs.stripe.com/event-destinations#thin-events>
//!
//! Their types are those of snapshots behind `v1.`, and finer ones of the same objects, such as
//! `v1.customer.subscription.past_due`. What a snapshot would say nothing about need not be fetched.

/// True if a thin event of this type is about something that access depends on; `is_snapshot` says
/// which types of snapshots are read.
pub(super) fn is_read(event_type: &str, is_snapshot: impl Fn(&str) -> bool) -> bool {
    let name = event_type.strip_prefix("v1.");
    name.is_some_and(|name| is_snapshot(name) || is_finer(name))
}

/// True for a type that has no snapshot of its own, but whose object would tell of the change.
fn is_finer(name: &str) -> bool {
    const OBJECTS: [&str; 3] = ["customer.subscription.", "charge.dispute.", "refund."];
    let told_otherwise = matches!(
        name,
        "customer.subscription.trial_will_end"
            | "customer.subscription.pending_update_applied"
            | "customer.subscription.pending_update_expired"
    );
    !told_otherwise && OBJECTS.iter().any(|object| name.starts_with(object))
}
