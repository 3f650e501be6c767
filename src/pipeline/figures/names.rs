//! What each figure that is read is called, and what it says.

use crate::metrics::Figure;

pub(super) const STORE_UP: &Figure = &Figure::gauge(
    "store_up",
    "1 if the store takes writes now, as `/readyz` has it",
);

pub(super) const BROKER_UP: &Figure = &Figure::gauge(
    "broker_up",
    "1 if messages can be published to the broker, and if the worker's consumers are connected",
);

pub(super) const QUEUE: &Figure = &Figure::gauge(
    "queue_messages",
    "Messages in the queue, the same in every process: due ones, those that wait for another try, \
     and dead letters on their way into the ledger. The built-in queue is counted up to 100000",
);

pub(super) const QUEUE_AGE: &Figure = &Figure::gauge(
    "queue_oldest_message_age_seconds",
    "Age of the oldest message that can be processed: of the built-in queue, or in this worker's hands",
);

pub(super) const SPOOL: &Figure = &Figure::gauge(
    "spool_messages",
    "Messages in the store that wait for the broker, up to 100000, the same in every process",
);

pub(super) const SPOOL_AGE: &Figure = &Figure::gauge(
    "spool_oldest_message_age_seconds",
    "Age of the oldest message in the store that waits for the broker",
);

pub(super) const TIMERS_DUE: &Figure = &Figure::gauge(
    "timers_due",
    "Customers whose due time has come and was not acted on, up to 100000",
);

pub(super) const TIMERS_LATE: &Figure = &Figure::gauge(
    "timers_late_seconds",
    "How long ago the first of these due times came; a worker looks every ten seconds",
);

pub(super) const REPLAYS: &Figure = &Figure::gauge(
    "replays_open",
    "Replays of many events that are not finished",
);

// By app it is in `GET /stats?app=…`: a slug is no label (`metrics`).
pub(super) const PAUSED: &Figure = &Figure::gauge(
    "apps_paused",
    "Apps whose events wait because an admin paused them",
);

pub(super) const PAUSED_MESSAGES: &Figure = &Figure::gauge(
    "paused_messages",
    "Messages in the store that wait until their paused app goes on, up to 100000 of each app",
);

pub(super) const DRIFT: &Figure = &Figure::gauge(
    "reconcile_drift",
    "Differences that the last comparisons with a provider found, of all apps, whether repaired or not",
);

pub(super) const RECONCILED: &Figure = &Figure::gauge(
    "reconcile_age_seconds",
    "Age of the oldest of the last comparisons with a provider that read everything, of all apps",
);

pub(super) const SILENT: &Figure = &Figure::gauge(
    "endpoints_silent",
    "Endpoints of all apps to which a provider has sent nothing for as long as the settings allow, the \
     same in every process",
);

pub(super) const REFETCHES: &Figure = &Figure::gauge(
    "refetches_waiting",
    "Objects that a provider is to be asked about, the same in every process",
);

pub(super) const CHANGES: &Figure = &Figure::gauge(
    "changes_unpublished",
    "Changes in the store that the broker is to be told of, the same in every process",
);

pub(super) const CHANGES_AGE: &Figure = &Figure::gauge(
    "changes_oldest_unpublished_age_seconds",
    "Age of the oldest change that the broker was not told of",
);

pub(super) const DELIVERIES: &Figure = &Figure::gauge(
    "hook_deliveries_waiting",
    "Deliveries to hooks that wait for their first or next try, the same in every process",
);

pub(super) const DELIVERIES_AGE: &Figure = &Figure::gauge(
    "hook_deliveries_oldest_age_seconds",
    "Age of the oldest delivery to a hook that waits",
);

pub(super) const HOOKS_LOST: &Figure = &Figure::gauge(
    "hooks_disabled",
    "Hooks of all apps that were disabled because their receivers took nothing, not by an admin, the \
     same in every process",
);

pub(super) const UNACCOUNTED: &Figure = &Figure::gauge(
    "acknowledged_without_outcome",
    "Webhooks of all apps that were acknowledged over a minute ago and are not in the ledger, the same \
     in every process: a backlog, or lost",
);

pub(super) const UNACCOUNTED_AGE: &Figure = &Figure::gauge(
    "acknowledged_without_outcome_age_seconds",
    "Age of the oldest webhook that was acknowledged and was not in the ledger when last looked at",
);

pub(super) const CONNECTIONS: &Figure = &Figure::gauge(
    "store_connections",
    "Connections to the store by pool, and whether they are in use",
);

pub(super) const MOST_CONNECTIONS: &Figure = &Figure::gauge(
    "store_connections_max",
    "The most connections that a pool opens",
);

pub(super) const OPENED: &Figure = &Figure::counter(
    "store_connections_opened",
    "Connections to the database server that were made, the first ones too",
);

pub(super) const STATEMENTS: &Figure =
    &Figure::counter("store_statements", "Statements that were run");

pub(super) const REMADE: &Figure = &Figure::counter(
    "broker_connections_remade",
    "Connections to the broker that were made anew after one was lost, by what they are for",
);

pub(super) const STANDSTILLS: &Figure = &Figure::counter(
    "broker_standstills",
    "Times that messages waited, none came, and the consumer connected anew",
);

pub(super) const LOSSES: &Figure = &Figure::counter(
    "work_queue_losses",
    "Times that the work queue was gone and this process declared it anew",
);
