//! The access check: may this token, or this customer, have this package in this version?

use std::collections::BTreeMap;

use super::customers::{FindError, shown};
use crate::domain::access::anything::anything;
use crate::domain::access::check::{self, AccessCode, Extent, Holder, PackageAccess};
use crate::domain::access::live_grant::LiveGrant;
use crate::domain::access::refusal;
use crate::domain::access::token::{CustomerToken, TokenHash};
use crate::domain::access::versions::Scheme;
use crate::domain::customer::row::{Customer, Status};
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::offload;
use crate::store::{Granted, Registry, Store, StoreError, TokenHolder, Tx};

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// It names no package.
    #[error("no package is named")]
    NoPackage,
    /// The customer that it is about cannot be shown.
    #[error(transparent)]
    Customer(#[from] FindError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// A question about one package.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Its name, in any case. It must be there, and be more than an empty text.
    pub package: Option<&'a str>,
    /// The version; `None` or empty to ask whether any version may be had.
    pub version: Option<&'a str>,
    /// What the wanted archive is made of, in place of a version.
    pub reference: Option<&'a str>,
    /// True for a file of a Composer repository, which has packages of Composer's alone.
    pub is_of_composer: bool,
}

/// The holder of a token, or a customer that an admin asks about.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The app of the customer.
    pub app: AppSlug,
    /// The token that was shown; `None` when an admin asks.
    pub token: Option<CustomerToken>,
    /// The customer.
    pub customer: Customer,
}

/// The answer about one package.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The code that says yes, or why not.
    pub code: AccessCode,
    /// The package in lower case, as names are kept.
    pub package: String,
    /// The version that was asked for.
    pub version: Option<String>,
    /// What gives the customer this package now, in any version.
    pub grants: Vec<LiveGrant>,
    /// The sentence for whoever installs, if the answer is no.
    pub warning: Option<String>,
    /// The one who asked.
    pub asker: Asker,
}

/// The answer about no package in particular.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The code that says yes, or why there is nothing at all.
    pub code: AccessCode,
    /// The sentence for whoever installs, if the answer is no.
    pub warning: Option<String>,
    /// The one who asked.
    pub asker: Asker,
}

/// Everything that a token may have.
#[derive(Clone, Debug)]
pub struct Everything {
    /// By package, the versions; or the code that says why there is nothing at all.
    pub packages: Result<BTreeMap<String, Extent>, AccessCode>,
    /// What gives the customer packages now.
    pub grants: Vec<LiveGrant>,
    /// The sentence for whoever installs, if there is nothing at all.
    pub warning: Option<String>,
    /// The one who asked.
    pub asker: Asker,
}

/// Checks a token; `None` if nobody has it.
///
/// # Errors
/// When somebody has it and the question names no package.
pub async fn check(
    store: &Store,
    hash: &TokenHash,
    question: Question<'_>,
    now: Timestamp,
) -> Result<Option<Answer>, AccessError> {
    let mut tx = store.read().await?;
    match tx.access_find(hash).await? {
        Some(holder) => answer(&mut tx, holder.into(), question, now)
            .await
            .map(Some),
        None => Ok(None),
    }
}

/// Checks whether a token opens anything at all; `None` if nobody has it. Mostly the first package that
/// is granted says so, and no other one is looked at.
///
/// # Errors
/// When the store failed.
pub async fn enter(
    store: &Store,
    hash: &TokenHash,
    now: Timestamp,
) -> Result<Option<Entry>, StoreError> {
    let mut tx = store.read().await?;
    let Some(holder) = tx.access_find(hash).await? else {
        return Ok(None);
    };
    let asker = Asker::from(holder);
    let basis = Basis::load(&mut tx, &asker, now).await?;
    let registry = registry_for(&mut tx, &asker).await?;
    drop(tx);
    let comparisons = basis.comparisons(0);
    let decided = move || {
        let code = anything(basis.holder(&asker), now);
        Entry {
            code,
            warning: warning(code, &registry, None, None),
            asker,
        }
    };
    Ok(Some(offload::run(comparisons, decided).await))
}

/// Answers for a customer without any token, for an admin.
///
/// # Errors
/// When there is no such customer, or the question names no package.
pub async fn check_customer(
    store: &Store,
    app: &AppSlug,
    id: &CustomerId,
    question: Question<'_>,
    now: Timestamp,
) -> Result<Answer, AccessError> {
    let mut tx = store.read().await?;
    let asker = Asker {
        app: app.clone(),
        token: None,
        customer: shown(&mut tx, app, id).await?,
    };
    answer(&mut tx, asker, question, now).await
}

/// Finds everything that a token may have; `None` if nobody has the token.
///
/// # Errors
/// When the store failed.
pub async fn everything(
    store: &Store,
    hash: &TokenHash,
    now: Timestamp,
) -> Result<Option<Everything>, StoreError> {
    let mut tx = store.read().await?;
    let Some(holder) = tx.access_find(hash).await? else {
        return Ok(None);
    };
    let asker = Asker::from(holder);
    let basis = Basis::load(&mut tx, &asker, now).await?;
    let registry = registry_for(&mut tx, &asker).await?;
    drop(tx);
    let comparisons = basis.comparisons(0);
    let everything = move || {
        basis.report_unreadable(&asker);
        let holder = basis.holder(&asker);
        let packages = check::check_holder(holder, now).map(|()| check::everything(holder, now));
        let code = packages.as_ref().err().copied();
        Everything {
            packages,
            warning: warning(code.unwrap_or(AccessCode::Ok), &registry, None, None),
            grants: basis.grants,
            asker,
        }
    };
    Ok(Some(offload::run(comparisons, everything).await))
}

async fn answer(
    tx: &mut Tx,
    asker: Asker,
    question: Question<'_>,
    now: Timestamp,
) -> Result<Answer, AccessError> {
    let package = question.package.filter(|package| !package.is_empty());
    // Names are kept in lower case; Cargo and older clients may ask in another.
    let package = package.ok_or(AccessError::NoPackage)?.to_ascii_lowercase();
    let basis = Basis::load_of(tx, &asker, Some(&package), now).await?;
    let scheme = basis.holder(&asker).schemes.of(&package);
    // What a Composer repository has under the name of such a package is another one.
    let is_other = question.is_of_composer && scheme != Scheme::Composer;
    let versions = wanted(tx, &asker.app, (scheme, &package), question).await?;
    let registry = registry_for(tx, &asker).await?;
    let comparisons = basis.comparisons(versions.len());
    let decided = move || {
        basis.report_unreadable(&asker);
        let holder = basis.holder(&asker);
        let (code, version) = if is_other {
            let code = check::closed(holder, &package, now);
            (code.unwrap_or(AccessCode::PackageNotGranted), None)
        } else {
            first_allowed(holder, &package, versions, now)
        };
        // A customer who is let in nowhere has nothing, whatever would be given otherwise.
        let is_open = check::check_holder(holder, now).is_ok();
        let mut grants = basis.grants;
        grants.retain(|live| is_open && !is_other && live.grant.package == package);
        Answer {
            code,
            warning: warning(code, &registry, Some(&package), version.as_deref()),
            package,
            version,
            grants,
            asker,
        }
    };
    Ok(offload::run(comparisons, decided).await)
}

/// The versions that a question may be about, of which one suffices; `None` stands for any.
async fn wanted(
    tx: &mut Tx,
    app: &AppSlug,
    (scheme, package): (Scheme, &str),
    question: Question<'_>,
) -> Result<Vec<Option<String>>, StoreError> {
    if let Some(reference) = question.reference {
        let made_of_it = tx.release_list_referenced(app, package, reference).await?;
        let mut versions: Vec<_> = made_of_it.into_iter().map(|it| Some(it.version)).collect();
        if versions.is_empty() {
            // What is no version is refused.
            versions.push(Some(reference.to_owned()));
        }
        return Ok(versions);
    }
    let version = question.version.filter(|version| !version.is_empty());
    Ok(vec![version.map(|text| meant_version(scheme, text))])
}

/// The version that a text means: a `+` that was not encoded arrives as a blank.
pub(super) fn meant_version(scheme: Scheme, text: &str) -> String {
    if text.contains(char::is_whitespace) && scheme.version(text).is_err() {
        let with_plus = text.trim().replace(' ', "+");
        if scheme.version(&with_plus).is_ok() {
            return with_plus;
        }
    }
    text.to_owned()
}

/// Decides about versions, of which one suffices: the first that is allowed, or else the first.
fn first_allowed(
    holder: Holder<'_>,
    package: &str,
    versions: Vec<Option<String>>,
    now: Timestamp,
) -> (AccessCode, Option<String>) {
    let access = PackageAccess::new(holder, package, now);
    let mut refused = None;
    for version in versions {
        let code = access.asked(version.as_deref());
        if code.is_allowed() {
            return (code, version);
        }
        refused.get_or_insert((code, version));
    }
    // None at all is no version, which is not the same as any.
    refused.unwrap_or_else(|| (access.version(None), None))
}

/// Reads what the app tells customers who are held, where it is needed.
pub(super) async fn registry_for(tx: &mut Tx, asker: &Asker) -> Result<Registry, StoreError> {
    match asker.customer.derived.status {
        Status::Suspended | Status::Expired => tx.registry_find(&asker.app).await,
        Status::Active | Status::Frozen { .. } => Ok(Registry::default()),
    }
}

/// The sentence for whoever installs; `None` where nothing is refused.
fn warning(
    code: AccessCode,
    registry: &Registry,
    package: Option<&str>,
    version: Option<&str>,
) -> Option<String> {
    let sentence = || refusal::sentence(code, registry.held_message(), package, version);
    (!code.is_allowed()).then(sentence)
}

impl From<TokenHolder> for Asker {
    fn from(holder: TokenHolder) -> Self {
        Self {
            app: holder.app,
            token: Some(holder.token),
            customer: holder.customer,
        }
    }
}

/// The grants and releases that an answer rests on.
pub(super) struct Basis {
    grants: Vec<LiveGrant>,
    granted: Granted,
}

impl Basis {
    /// Loads what an answer about every package rests on.
    async fn load(tx: &mut Tx, asker: &Asker, now: Timestamp) -> Result<Self, StoreError> {
        let only = std::slice::from_ref(&asker.customer);
        let granted = tx.access_granted(&asker.app, only, now).await?;
        Ok(Self::new(asker, granted))
    }

    /// Loads what an answer about one package rests on, or one that no release matters for.
    pub(super) async fn load_of(
        tx: &mut Tx,
        asker: &Asker,
        package: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let Asker { app, customer, .. } = asker;
        let granted = tx.access_granted_of(app, customer, package, now).await?;
        Ok(Self::new(asker, granted))
    }

    fn new(asker: &Asker, granted: Granted) -> Self {
        Self {
            grants: granted.of(&asker.customer),
            granted,
        }
    }

    /// Returns about how many comparisons it takes to decide about so many versions of a package, for
    /// `offload`.
    pub(super) fn comparisons(&self, versions: usize) -> usize {
        let grants = self.grants.iter().map(|it| &it.grant);
        check::comparisons(grants, self.granted.releases.len() + versions)
    }

    pub(super) fn report_unreadable(&self, asker: &Asker) {
        report_unreadable(&asker.customer.id, self.holder(asker));
    }

    pub(super) fn holder<'a>(&'a self, asker: &'a Asker) -> Holder<'a> {
        Holder {
            token: asker.token.as_ref(),
            derived: &asker.customer.derived,
            grants: &self.grants,
            releases: &self.granted.releases,
            schemes: &self.granted.schemes,
        }
    }
}

/// Logs the grants of a customer that cannot be read.
pub(super) fn report_unreadable(customer: &CustomerId, holder: Holder<'_>) {
    for grant in check::unreadable(holder) {
        tracing::error!(
            customer.id = %customer,
            package = grant.grant.package,
            "a stored grant has a constraint that cannot be read, and allows nothing"
        );
    }
}
