//! Validating keys.

use super::{OwnedLicense, owned};
use crate::domain::access::activation::{Activation, judge_there};
use crate::domain::access::license::LicenseCode;
use crate::domain::access::license_key::TypedKey;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

/// What is asked about a key.
#[derive(Clone, Debug)]
pub struct KeyQuestion {
    /// The key, as it was typed.
    pub key: TypedKey,
    /// Where it is used; `None` judges the licence by itself.
    pub fingerprint: Option<String>,
    /// The product that it is for: a key of another one is unknown. `None` takes any.
    pub product: Option<String>,
}

/// The verdict on a key.
#[derive(Debug)]
pub struct Judged {
    /// The code that says whether it is valid, or why not.
    pub code: LicenseCode,
    /// The licence and whose it is now, where there is one.
    pub owned: Option<OwnedLicense>,
    /// Its activation where it is used, if that is told and it is active there.
    pub activation: Option<Activation>,
}

/// Judges the licence with a key; where it is used, if a fingerprint says that, else by itself.
///
/// # Errors
/// When the store failed.
pub async fn validate(
    store: &Store,
    app: &AppSlug,
    question: &KeyQuestion,
    now: Timestamp,
) -> Result<Judged, StoreError> {
    let mut tx = store.read().await?;
    let unknown = Judged {
        code: LicenseCode::LicenseUnknown,
        owned: None,
        activation: None,
    };
    let found = tx.license_find_by_key(app, &question.key).await?;
    let found = found.filter(|it| it.license.is_for(question.product.as_deref()));
    let Some(license) = found else {
        return Ok(unknown);
    };
    let Some(found) = owned(&mut tx, app, license).await? else {
        return Ok(unknown);
    };
    let code = found.license.judge(&found.customer, &found.plans, now);
    let (code, activation) = match &question.fingerprint {
        Some(fingerprint) => {
            let there = tx.activation_find(&found.license.id, fingerprint).await?;
            let limit = found.activations_allowed();
            (judge_there(code, limit, there.is_some()), there)
        }
        None => (code, None),
    };
    Ok(Judged {
        code,
        owned: Some(found),
        activation,
    })
}
