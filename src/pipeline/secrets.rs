//! Webhook secrets of an app's endpoints. They are sealed when they come in and never shown.
//! Several can be current at once, so that a rotation loses no webhook.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::order::Order;
use crate::domain::id::{AppSlug, Provider, SecretId};
use crate::domain::mode::Mode;
use crate::domain::time::Timestamp;
use crate::random::{self, RandomError};
use crate::store::secret::{EndpointSecret, SealedSecret};
use crate::store::{Store, StoreError, Tx};
use crate::vault::{KeyId, NotOpened, SealedFor, Vault, VaultError};

/// Most current secrets of one endpoint. A rotation needs two; every webhook, forged ones too, is
/// checked against each.
const MAX_SECRETS: usize = 16;

/// Why a secret was not added, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The endpoint has no such secret.
    #[error("the endpoint has no such secret")]
    NotFound,
    /// The endpoint has as many current secrets as it may have.
    #[error("the endpoint has {MAX_SECRETS} current secrets; remove one first")]
    TooMany,
    /// The endpoint has this secret. Twice there, it would still verify after one of the two is removed.
    #[error("the endpoint has this secret already: {0}")]
    Exists(SecretId),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The secret could not be sealed.
    #[error("the secret could not be sealed")]
    Vault(#[from] VaultError),
    /// No id could be drawn.
    #[error("no id could be made")]
    Random(#[from] RandomError),
}

/// A webhook secret and the key that sealed it.
#[derive(Clone, Debug)]
pub struct KeyedSecret {
    /// The secret's description.
    pub secret: EndpointSecret,
    /// The key; `None` if what is stored is damaged.
    pub key: Option<KeyId>,
}

impl From<SealedSecret> for KeyedSecret {
    fn from(SealedSecret { secret, sealed }: SealedSecret) -> Self {
        let key = KeyId::of_sealed(&sealed);
        Self { secret, key }
    }
}

/// A secret to be added.
#[derive(Debug)]
pub struct NewSecret {
    /// The text, as the provider shows it.
    pub text: SecretString,
    /// The deliveries that it is meant for.
    pub mode: Mode,
    /// From when it verifies nothing; never unless given.
    pub expires_at: Option<Timestamp>,
}

/// Lists an endpoint's secrets, without their texts.
///
/// # Errors
/// When there is no such app.
pub async fn list(
    store: &Store,
    app: &AppSlug,
    provider: Provider,
) -> Result<Vec<KeyedSecret>, SecretError> {
    let mut tx = store.read().await?;
    refuse_unknown(&mut tx, app).await?;
    let all = tx.secret_list(app, provider).await?;
    Ok(all.into_iter().map(KeyedSecret::from).collect())
}

/// Reads and decrypts the current secrets of all endpoints. Of one that cannot be decrypted it tells
/// just that.
///
/// # Errors
/// When the store failed.
pub async fn open_current(
    store: &Store,
    vault: &Vault,
    now: Timestamp,
) -> Result<Vec<(EndpointSecret, Result<SecretString, NotOpened>)>, StoreError> {
    let current = store.read().await?.secret_list_current(now).await?;
    let open = |SealedSecret { secret, sealed }| {
        let opened = vault.open(purpose(&secret), &sealed);
        (secret, opened)
    };
    Ok(current.into_iter().map(open).collect())
}

/// The purpose with which a secret is sealed.
pub(super) fn purpose(secret: &EndpointSecret) -> SealedFor<'_> {
    SealedFor::Secret {
        app: &secret.app,
        provider: secret.provider,
        id: &secret.id,
    }
}

/// Adds a secret to an endpoint. Those that are there stay.
///
/// # Errors
/// When there is no such app, or its endpoint has this secret or too many.
pub async fn add(
    store: &Store,
    vault: &Vault,
    order: &Order,
    provider: Provider,
    new: NewSecret,
) -> Result<KeyedSecret, SecretError> {
    // Alone, or two at once would each see that the other is not there.
    let mut tx = store.begin_in(&order.app).await?;
    refuse_unknown(&mut tx, &order.app).await?;
    let known = tx.secret_list(&order.app, provider).await?;
    let is_current = |it: &&SealedSecret| it.secret.expires_at.is_none_or(|end| end > order.now);
    let current: Vec<&SealedSecret> = known.iter().filter(is_current).collect();
    let is_this = |it: &&&SealedSecret| {
        // One that does not open verifies nothing.
        let opened = vault.open(purpose(&it.secret), &it.sealed);
        opened.is_ok_and(|it| it.expose_secret() == new.text.expose_secret())
    };
    if let Some(known) = current.iter().find(is_this) {
        return Err(SecretError::Exists(known.secret.id.clone()));
    }
    if current.len() >= MAX_SECRETS {
        return Err(SecretError::TooMany);
    }
    let secret = EndpointSecret {
        id: SecretId::from_uuid(random::uuid(order.now)?),
        app: order.app.clone(),
        provider,
        mode: new.mode,
        created_at: order.now,
        expires_at: new.expires_at,
        uses: 0,
        last_used_at: None,
        live_since: tx.endpoint_live_since(&order.app, provider).await?,
    };
    let sealed = vault.seal(purpose(&secret), new.text.expose_secret())?;
    let key = KeyId::of_sealed(&sealed);
    tx.secret_add(&secret, sealed).await?;
    let details = json!({"id": secret.id, "from": null, "to": described(&secret)});
    order.audit(&mut tx, None, "secret_add", details).await?;
    tx.commit().await?;
    Ok(KeyedSecret { secret, key })
}

/// Sets when a secret runs out; never if `None`.
///
/// # Errors
/// When there is no such app, or its endpoint has no such secret.
pub async fn set_end(
    store: &Store,
    order: &Order,
    provider: Provider,
    id: &str,
    expires_at: Option<Timestamp>,
) -> Result<KeyedSecret, SecretError> {
    let mut tx = store.begin().await?;
    let KeyedSecret { secret: known, key } = known(&mut tx, &order.app, provider, id).await?;
    tx.secret_expire(&known, expires_at).await?;
    let details = json!({
        "id": known.id, "provider": provider,
        "from": known.expires_at.map(Timestamp::exact),
        "to": expires_at.map(Timestamp::exact),
    });
    order.audit(&mut tx, None, "secret_expire", details).await?;
    tx.commit().await?;
    let secret = EndpointSecret {
        expires_at,
        ..known
    };
    Ok(KeyedSecret { secret, key })
}

/// Removes a secret from an endpoint.
///
/// # Errors
/// When there is no such app, or its endpoint has no such secret.
pub async fn remove(
    store: &Store,
    order: &Order,
    provider: Provider,
    id: &str,
) -> Result<(), SecretError> {
    let mut tx = store.begin().await?;
    let secret = known(&mut tx, &order.app, provider, id).await?.secret;
    tx.secret_delete(&order.app, provider, &secret.id).await?;
    let details = json!({"id": secret.id, "from": described(&secret), "to": null});
    order.audit(&mut tx, None, "secret_delete", details).await?;
    Ok(tx.commit().await?)
}

async fn refuse_unknown(tx: &mut Tx, app: &AppSlug) -> Result<(), SecretError> {
    match tx.app_find(app).await? {
        Some(_) => Ok(()),
        None => Err(SecretError::NoApp),
    }
}

/// The secret of an endpoint with this id. A text that is no id names none.
async fn known(
    tx: &mut Tx,
    app: &AppSlug,
    provider: Provider,
    id: &str,
) -> Result<KeyedSecret, SecretError> {
    refuse_unknown(tx, app).await?;
    let all = tx.secret_list(app, provider).await?;
    let known = all.into_iter().find(|it| it.secret.id.as_str() == id);
    known.map(KeyedSecret::from).ok_or(SecretError::NotFound)
}

/// A secret for the audit, without its text.
fn described(secret: &EndpointSecret) -> Value {
    let expires_at = secret.expires_at.map(Timestamp::exact);
    json!({"provider": secret.provider, "mode": secret.mode, "expires_at": expires_at})
}

/// Writes to the audit that a test event was sent to an endpoint.
///
/// # Errors
/// When the store failed.
pub async fn note_test(
    store: &Store,
    order: &Order,
    provider: Provider,
    event: &str,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let details = json!({"provider": provider, "event_id": event});
    order.audit(&mut tx, None, "endpoint_test", details).await?;
    tx.commit().await
}
