//! The packages of an app: how their versions are read, and the customers who may have one.
//!
//! A package is declared by itself, not by what names it, so that all its grants, plans and releases
//! are read one way. Another scheme must be able to read all of them: an order that would leave a
//! customer with a constraint that allows nothing is refused and names what is in its way.

use std::collections::BTreeSet;

use serde_json::json;

use super::customers::CustomerPage;
use super::order::Order;
use super::package_texts::{PackageTextError, check_grants};
use super::settings_plans::SettingsPlan;
use crate::causes::chain;
use crate::domain::access::plan::PackageGrant;
use crate::domain::access::release::Release;
use crate::domain::access::versions::Scheme;
use crate::domain::id::AppSlug;
use crate::domain::time::Timestamp;
use crate::domain::validate::FieldError;
use crate::store::{GrantedConstraint, NamedPackage, Store, StoreError, StoredPlan, Tx, Window};

/// Most packages that an app declares.
const MAX_PACKAGES: u64 = 10_000;

/// The most things that are named which stand in the way of a scheme.
const MOST_NAMED: usize = 10;

/// Why a package was not declared, or not found.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// Nothing names it.
    #[error("there is no such package")]
    NotFound,
    /// The scheme has no such names.
    #[error("the name of the package {0}")]
    Name(String),
    /// Plans, grants or releases of it are none in the new scheme.
    #[error("{}", sentence(*.scheme, .what))]
    InUse {
        /// The new scheme.
        scheme: Scheme,
        /// What it cannot read.
        what: Vec<String>,
    },
    /// The app declares as many packages as it may.
    #[error("the app declares {MAX_PACKAGES} packages; remove one first")]
    TooMany,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

fn sentence(scheme: Scheme, what: &[String]) -> String {
    let named = what.iter().take(MOST_NAMED).map(String::as_str);
    let named = named.collect::<Vec<_>>().join("; ");
    let more = match what.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("as `{scheme}` these cannot be read, change or remove them first: {named}{more}")
}

/// A declaration after an order.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// The package was not declared before.
    pub is_new: bool,
    /// The order changed something.
    pub changed: bool,
}

/// Lists the packages that are declared, or that releases, plans or grants by hand name.
///
/// # Errors
/// When the store failed.
pub async fn list(store: &Store, app: &AppSlug) -> Result<Vec<NamedPackage>, StoreError> {
    store.read().await?.package_list(app).await
}

/// Finds one of the packages that are listed.
///
/// # Errors
/// When nothing names it.
pub async fn find(
    store: &Store,
    app: &AppSlug,
    package: &str,
) -> Result<NamedPackage, PackageError> {
    let found = store.read().await?.package_named(app, package).await?;
    found.ok_or(PackageError::NotFound)
}

/// Declares how the versions of a package are read.
///
/// # Errors
/// When the scheme cannot read what is there of the package, or there are too many declarations.
pub async fn declare(
    store: &Store,
    order: &Order,
    package: &str,
    scheme: Scheme,
) -> Result<Declared, PackageError> {
    let mut tx = store.begin_in(&order.app).await?;
    let declared = declare_in(&mut tx, order, package, scheme).await?;
    tx.commit().await?;
    Ok(declared)
}

/// Shows whether [`declare`] would do, and does nothing: the transaction is never committed.
///
/// # Errors
/// As those of [`declare`].
pub async fn preview(
    store: &Store,
    order: &Order,
    package: &str,
    scheme: Scheme,
) -> Result<Declared, PackageError> {
    let mut tx = store.begin_in(&order.app).await?;
    declare_in(&mut tx, order, package, scheme).await
}

async fn declare_in(
    tx: &mut Tx,
    order: &Order,
    package: &str,
    scheme: Scheme,
) -> Result<Declared, PackageError> {
    scheme.package_name(package).map_err(PackageError::Name)?;
    let known = tx.package_find(&order.app, package).await?;
    let is_new = known.is_none();
    if known == Some(scheme) {
        let changed = false;
        return Ok(Declared { is_new, changed });
    }
    if is_new && tx.package_count(&order.app).await? >= MAX_PACKAGES {
        return Err(PackageError::TooMany);
    }
    read_as(tx, order, package, known.unwrap_or_default(), scheme).await?;
    tx.package_put(&order.app, package, scheme).await?;
    let details = json!({"package": package, "from": known.map(Scheme::as_str),
        "to": scheme.as_str()});
    order.audit(tx, None, "package_put", details).await?;
    let changed = true;
    Ok(Declared { is_new, changed })
}

/// Declares the packages that the settings say are read by SemVer. They stay so when the settings do not
/// name them any more, because grants may. What cannot be read is logged, not refused: a server has to
/// start.
pub(super) async fn declare_settings(
    tx: &mut Tx,
    order: &Order,
    packages: &BTreeSet<String>,
    plans: &[SettingsPlan],
) -> Result<(), StoreError> {
    for package in packages {
        match declare_in(tx, order, package, Scheme::Semver).await {
            Ok(_) => {}
            Err(PackageError::Store(error)) => return Err(error),
            Err(error) => tracing::error!(
                package,
                error = chain(&error),
                "a package is not declared as the settings say"
            ),
        }
    }
    let grants = plans.iter().flat_map(|(_, price, grants)| {
        let of_price = grants.iter();
        of_price.map(move |grant| (price, grant))
    });
    let prices: Vec<&String> = grants.clone().map(|(price, _)| price).collect();
    let at = |index: usize| format!("{}, ", prices[index]);
    match check_grants(tx, &order.app, grants.map(|(_, grant)| grant), at).await {
        Ok(()) => {}
        Err(PackageTextError::Store(error)) => return Err(error),
        Err(PackageTextError::Invalid { errors }) => {
            for FieldError { field, message } in errors {
                tracing::error!(
                    field,
                    message,
                    "a plan of the settings cannot be read, and allows nothing"
                );
            }
        }
    }
    Ok(())
}

/// Removes the declaration of a package, which is Composer's then.
///
/// # Errors
/// When it is not declared, or Composer's scheme cannot read what is there of it.
pub async fn undeclare(store: &Store, order: &Order, package: &str) -> Result<(), PackageError> {
    let mut tx = store.begin_in(&order.app).await?;
    let known = tx.package_find(&order.app, package).await?;
    let known = known.ok_or(PackageError::NotFound)?;
    read_as(&mut tx, order, package, known, Scheme::default()).await?;
    tx.package_delete(&order.app, package).await?;
    let details = json!({"package": package, "from": known.as_str(), "to": null});
    order
        .audit(&mut tx, None, "package_delete", details)
        .await?;
    Ok(tx.commit().await?)
}

/// Reads everything that is there of a package by another scheme, and gives its releases the keys that
/// they have there.
async fn read_as(
    tx: &mut Tx,
    order: &Order,
    package: &str,
    from: Scheme,
    to: Scheme,
) -> Result<(), PackageError> {
    if from == to {
        return Ok(());
    }
    let plans = tx.plan_list(&order.app).await?;
    let waiting = tx.waiting_plan_list(&order.app).await?;
    let mut what = Vec::new();
    for plan in plans.iter().chain(&waiting) {
        what.extend(of_plan(plan, package, to));
    }
    for granted in tx.package_constraints(&order.app, package).await? {
        let grant = PackageGrant {
            package: package.to_owned(),
            constraint: granted.constraint_text.clone(),
        };
        what.extend(misread(&grant, to).map(|why| of_grant(&granted, &why)));
    }
    let known = BTreeSet::from([package.to_owned()]);
    let known = tx.release_list(&order.app, &known).await?;
    let mut releases = Vec::new();
    let mut keys = BTreeSet::new();
    let wrong_name = misnamed(package, to);
    for release in known {
        let Release {
            version, reference, ..
        } = release;
        if let Some(why) = &wrong_name {
            what.push(format!("the release {version} ({why})"));
            continue;
        }
        match Release::new(to, package, &version, release.released_at) {
            Ok(read) if keys.insert(read.normalized.clone()) => {
                releases.push(read.with_reference(reference));
            }
            Ok(_) => what.push(format!(
                "the release {version}, which is the same version as another one"
            )),
            Err(error) => what.push(format!("the release {version} ({error})")),
        }
    }
    if !what.is_empty() {
        return Err(PackageError::InUse { scheme: to, what });
    }
    if !releases.is_empty() {
        tx.release_delete_all(&order.app, package, order.now)
            .await?;
        tx.release_put(&order.app, &releases, order.now).await?;
    }
    Ok(())
}

/// What of a plan another scheme cannot read.
fn of_plan(plan: &StoredPlan, package: &str, scheme: Scheme) -> Option<String> {
    let mut grants = plan.packages.iter().filter(|it| it.package == package);
    let why = grants.find_map(|grant| misread(grant, scheme))?;
    let (provider, price) = (plan.provider, &plan.price_id);
    Some(format!("the plan of {provider}'s {price} ({why})"))
}

fn of_grant(granted: &GrantedConstraint, why: &str) -> String {
    let GrantedConstraint {
        customer,
        customers,
        ..
    } = granted;
    match customers {
        1 => format!("the grant of customer {customer} ({why})"),
        _ => format!("the grants of {customers} customers, such as {customer} ({why})"),
    }
}

/// Why another scheme cannot read a grant.
fn misread(grant: &PackageGrant, scheme: Scheme) -> Option<String> {
    misnamed(&grant.package, scheme).or_else(|| {
        let read = scheme.constraint(&grant.constraint);
        read.err().map(|error| error.to_string())
    })
}

/// Why another scheme has no package of this name.
fn misnamed(package: &str, scheme: Scheme) -> Option<String> {
    let wrong = scheme.package_name(package).err()?;
    Some(format!("its name {wrong}"))
}

/// Lists the active and frozen customers to whom a package is granted, the newest first.
///
/// # Errors
/// When the store failed.
pub async fn holders(
    store: &Store,
    app: &AppSlug,
    package: &str,
    window: &Window,
    now: Timestamp,
) -> Result<CustomerPage, StoreError> {
    let mut tx = store.read().await?;
    let part = tx.package_holders(app, package, window).await?;
    let granted = tx.access_granted(app, &part.rows, now).await?;
    Ok(CustomerPage { part, granted })
}
