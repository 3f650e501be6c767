//! Delivers changes to hooks.
//!
//! One worker at a time delivers to a hook, by a lease: it takes what is due, of each customer the
//! oldest, sends it all at once, and writes how it went. So a receiver learns of a customer's changes in
//! their order, and one that cannot be delivered holds back those of its customer alone. A try that is
//! not written, because the worker died, is made again under the same id.
//!
//! A receiver that is away is not asked about every change: after a round in which nothing was
//! delivered the hook rests, for longer each time up to a minute, and the next round is a small one.
//! When something is delivered again after that, all that waits is due at once.

use std::time::Duration;

use futures::future::join_all;
use secrecy::SecretString;

use super::sender::{Answer, HookSender, Outgoing, SendError};
use super::signature::sign;
use crate::causes::chain;
use crate::clock::Clock;
use crate::domain::announcement::{Announcement, HOOK_DISABLED};
use crate::domain::customer::flag::HeldFlag;
use crate::domain::hook::{DeliveryState, DisabledBecause, HookBody};
use crate::domain::span::Span;
use crate::domain::time::Timestamp;
use crate::pause::pause_after;
use crate::store::change::StoredChange;
use crate::store::hook::{Hook, SealedHookSecret};
use crate::store::hook_delivery::{HookDelivery, Tried};
use crate::store::{Actor, AuditEntry, Store, StoreError, Tx};
use crate::vault::{SealedFor, Vault};

/// Most deliveries of one round.
const ROUND: u32 = 64;

/// Most deliveries of a round at a receiver that takes nothing.
const PROBE: u32 = 4;

/// How long a lease lasts: several times as long as the slowest receiver is waited for.
const LEASE: Duration = Duration::from_mins(1);

/// The pauses of one delivery: 5 s, 25 s, 2 min, 10 min, then every 15 minutes. Not longer, because the
/// receiver may be mended at any time, and later changes of the customer wait behind; four tries an hour
/// of what it goes on to refuse are bearable, and of a receiver that takes nothing few are made at all.
const FIRST: Duration = Duration::from_secs(5);
const TIMES: f64 = 5.0;
const LONGEST: Duration = Duration::from_mins(15);

/// Most tries of one delivery. With these pauses the last is after about three days.
const TRIES: i64 = 300;

/// After so many rounds in which nothing was delivered the receiver was away: what waits for it is due
/// at once when it is back. After fewer it may have been one delivery that it refuses, which must not be
/// tried more often for every other that it takes.
const AWAY: i64 = 3;

/// The pauses of a hook that takes nothing.
const FIRST_RETRY_INTERVAL: Duration = Duration::from_secs(1);
const LONGEST_RETRY_INTERVAL: Duration = Duration::from_mins(1);

/// The longest that a receiver can ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// A lease that ends later than this was given by a clock that was ahead, and is no longer heeded. Longer than
/// a lease, because the clocks of two workers differ a little.
const LONGEST_LEASE: Duration = Duration::from_mins(5);

/// The same of a rest, and of the next try of a delivery.
const LONGEST_REST: Duration = Duration::from_hours(25);

/// What delivers.
#[derive(Clone)]
pub struct Deliveries {
    sender: HookSender,
    vault: Vault,
    disable_after: Span,
}

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The number of deliveries that were taken.
    pub delivered: usize,
    /// The number of tries that failed.
    pub failed: usize,
}

impl Deliveries {
    /// Makes one. A hook to which nothing was delivered for `disable_after` is disabled.
    pub const fn new(sender: HookSender, vault: Vault, disable_after: Span) -> Self {
        Self {
            sender,
            vault,
            disable_after,
        }
    }

    /// Lists the hooks for which something is due and to which nobody delivers.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn due(&self, store: &Store, now: Timestamp) -> Result<Vec<Hook>, StoreError> {
        store.read().await?.hook_due(now, ROUND).await
    }

    /// Makes due what a clock that was ahead has put off.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn heed_clock(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = store.begin().await?;
        let (leased, rests) = (now.plus(LONGEST_LEASE), now.plus(LONGEST_REST));
        tx.hook_heed_clock(now, leased, rests).await?;
        tx.commit().await
    }

    /// Makes a round for each hook for which something is due, one after the other.
    ///
    /// # Errors
    /// When the store failed.
    pub async fn deliver_due(
        &self,
        store: &Store,
        clock: &dyn Clock,
    ) -> Result<Delivered, StoreError> {
        let mut all = Delivered::default();
        for hook in self.due(store, clock.now()).await? {
            let round = self.round(store, hook, clock).await?;
            all.delivered += round.delivered;
            all.failed += round.failed;
        }
        Ok(all)
    }

    /// Delivers what is due at a hook, unless somebody else does. Pauses are counted from the answers: one
    /// counted from the question would be over when a slow receiver is given up, which needs it most.
    ///
    /// # Errors
    /// When the store failed: what was delivered will be delivered again, under the same ids.
    pub async fn round(
        &self,
        store: &Store,
        hook: Hook,
        clock: &dyn Clock,
    ) -> Result<Delivered, StoreError> {
        let now = clock.now();
        let mut tx = store.begin().await?;
        let until = now.plus(LEASE);
        if !tx.hook_lease(&hook.id, until, now).await? {
            return Ok(Delivered::default());
        }
        // As it is now that nobody else delivers.
        let Some(hook) = tx.hook_find(&hook.app, &hook.id).await? else {
            return Ok(Delivered::default());
        };
        let most = if hook.failures == 0 { ROUND } else { PROBE };
        let due = tx.delivery_due(&hook.id, now, most).await?;
        let secrets = tx.hook_secret_list(&hook.id).await?;
        tx.commit().await?;
        let secrets = self.open(secrets, now);
        let sent = due
            .iter()
            .map(|(_, change)| self.send(&hook, &secrets, change, now));
        let answers = join_all(sent).await;
        let ended = clock.now();
        let tried = due.iter().zip(&answers);
        let tried: Vec<Tried> = tried
            .map(|((it, _), answer)| judged(it, answer, ended))
            .collect();
        let settled = self.settle(hook, &tried, &answers, ended);
        let mut tx = store.begin().await?;
        // Before the deliveries, as all who write both.
        let is_held = tx.hook_give_back(&settled.hook.id, until, ended).await?;
        tx.delivery_settle(&tried, ended).await?;
        if is_held {
            settled.write(&mut tx, ended).await?;
        }
        tx.commit().await?;
        Ok(settled.counts)
    }

    fn open(&self, secrets: Vec<SealedHookSecret>, now: Timestamp) -> Vec<SecretString> {
        let current = secrets
            .into_iter()
            .filter(|it| it.expires_at.is_none_or(|end| end > now));
        let opened = current.filter_map(|secret| {
            let what = SealedFor::HookSecret {
                app: &secret.app,
                id: &secret.id,
            };
            match self.vault.open(what, &secret.sealed) {
                Ok(text) => Some(text),
                Err(error) => {
                    tracing::error!(
                        hook.id = %secret.hook,
                        error = chain(&error),
                        "a secret of a hook does not open with the present TOLLGATE_SECRET_KEY"
                    );
                    None
                }
            }
        });
        opened.collect()
    }

    async fn send(
        &self,
        hook: &Hook,
        secrets: &[SecretString],
        change: &StoredChange,
        now: Timestamp,
    ) -> Result<Answer, SendError> {
        let body = change.body(hook.body == HookBody::Full);
        let id = change.id.as_str();
        let seconds = now.seconds();
        let signature = sign(secrets, id, seconds, &body);
        if signature.is_empty() {
            // Unsigned, nobody could tell it from a forgery.
            return Err(SendError::NoSecret);
        }
        let outgoing = Outgoing {
            url: &hook.url,
            id,
            seconds,
            signature,
            body,
        };
        self.sender.send(outgoing).await
    }

    /// How a hook stands after a round.
    fn settle(
        &self,
        mut hook: Hook,
        tried: &[Tried],
        answers: &[Result<Answer, SendError>],
        now: Timestamp,
    ) -> Settled {
        let delivered = tried
            .iter()
            .filter(|it| it.state == DeliveryState::Delivered);
        let delivered = delivered.count();
        let failed = tried.len() - delivered;
        let is_back = delivered > 0 && hook.failures >= AWAY;
        let mut rest = Duration::ZERO;
        if delivered > 0 {
            (hook.failing_since, hook.failures) = (None, 0);
        } else if failed > 0 {
            hook.failing_since = hook.failing_since.or(Some(now));
            hook.failures += 1;
            let failures = u32::try_from(hook.failures).unwrap_or(u32::MAX);
            let asked = answers.iter().flatten().filter_map(|it| it.retry_after);
            let asked = asked.max().unwrap_or_default().min(LONGEST_WAIT);
            rest =
                pause_after(failures, FIRST_RETRY_INTERVAL, 2.0, LONGEST_RETRY_INTERVAL).max(asked);
        }
        let is_gone = answers.iter().flatten().any(|it| it.status == 410);
        let too_long = hook
            .failing_since
            .is_some_and(|since| self.disable_after.after(since) <= now);
        let disabled = match (is_gone, too_long) {
            (true, _) => Some(DisabledBecause::Gone),
            (false, true) => Some(DisabledBecause::Failing),
            (false, false) => None,
        };
        Settled {
            hook,
            is_back,
            rest_until: now.plus(rest),
            disabled,
            counts: Delivered { delivered, failed },
        }
    }
}

/// How a hook stands after a round.
struct Settled {
    hook: Hook,
    /// Its receiver was away, and takes something again.
    is_back: bool,
    rest_until: Timestamp,
    disabled: Option<DisabledBecause>,
    counts: Delivered,
}

impl Settled {
    async fn write(&self, tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
        let hook = &self.hook;
        if !tx.hook_settle(hook, self.rest_until).await? {
            // An admin changed it under way, to another address perhaps, and had all that waits made due:
            // what the receiver of before said is no reason to wait, and disables nothing.
            return tx.delivery_hasten(&hook.id, now).await;
        }
        if self.is_back {
            tx.delivery_hasten(&hook.id, now).await?;
        }
        match self.disabled {
            Some(reason) => disable(tx, hook, reason, now).await,
            None => Ok(()),
        }
    }
}

/// Disables a hook, raises a flag, and tells other hooks and the audit.
async fn disable(
    tx: &mut Tx,
    hook: &Hook,
    reason: DisabledBecause,
    now: Timestamp,
) -> Result<(), StoreError> {
    if !tx.hook_disable(&hook.id, reason, now).await? {
        return Ok(());
    }
    tracing::error!(
        app = %hook.app,
        hook.id = %hook.id,
        reason = reason.as_str(),
        "a hook was disabled: its receiver takes nothing; enable it when it does"
    );
    let details = serde_json::json!({
        "id": hook.id, "from": "enabled", "to": "disabled", "reason": reason.as_str(),
    });
    let data = details.as_object().cloned().unwrap_or_default();
    tx.audit_add(&[AuditEntry {
        app: hook.app.clone(),
        at: now,
        actor: Actor::Timer,
        customer: None,
        operation: "hook_disable".to_owned(),
        details,
    }])
    .await?;
    let told = Announcement {
        app: hook.app.clone(),
        customer: None,
        kind: HOOK_DISABLED,
        occurred_at: now,
        data,
    };
    tx.change_add(vec![told]).await?;
    let flag = HeldFlag::of_hook(&hook.id, now);
    tx.flag_raise(&hook.app, flag, now).await
}

/// Decides what becomes of a delivery after a try.
fn judged(delivery: &HookDelivery, answer: &Result<Answer, SendError>, now: Timestamp) -> Tried {
    let attempts = delivery.attempts + 1;
    let status = answer.as_ref().ok().map(|it| i64::from(it.status));
    let error = match answer {
        Ok(it) if (200..300).contains(&it.status) => None,
        Ok(it) if (300..400).contains(&it.status) => Some("redirected".to_owned()),
        Ok(_) => Some("refused".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let state = match &error {
        None => DeliveryState::Delivered,
        Some(_) if attempts >= TRIES => DeliveryState::Failed,
        Some(_) => DeliveryState::Waiting,
    };
    let tries = u32::try_from(attempts).unwrap_or(u32::MAX);
    let asked = answer.as_ref().ok().and_then(|it| it.retry_after);
    let pause = pause_after(tries, FIRST, TIMES, LONGEST);
    let pause = pause.max(asked.unwrap_or_default().min(LONGEST_WAIT));
    Tried {
        seq: delivery.seq,
        state,
        next_at: now.plus(pause),
        status,
        error,
    }
}
