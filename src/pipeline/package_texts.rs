//! Reads what orders say of packages: names, constraints and versions, each as the scheme of its
//! package has them. [`schemes`] tells them before, so that a caller can name all faults of an order
//! at once; the checks here are those of its transaction, so that nothing is written that a scheme
//! declared meanwhile cannot read.

use std::collections::BTreeSet;

use crate::domain::access::plan::PackageGrant;
use crate::domain::access::versions::Schemes;
use crate::domain::customer::row::PackageVersion;
use crate::domain::id::AppSlug;
use crate::domain::validate::FieldError;
use crate::store::{Store, StoreError, Tx};

/// Why packages of an order were not taken.
#[derive(Debug, thiserror::Error)]
pub enum PackageTextError {
    /// The schemes of the packages cannot read what the order says.
    #[error("the order has fields that are not right")]
    Invalid {
        /// The faults, field by field.
        errors: Vec<FieldError>,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl PackageTextError {
    fn of(errors: Vec<FieldError>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self::Invalid { errors })
        }
    }
}

/// Finds how the versions of some packages are read.
///
/// # Errors
/// When the store failed.
pub async fn schemes<'a>(
    store: &Store,
    app: &AppSlug,
    packages: impl Iterator<Item = &'a str> + Send,
) -> Result<Schemes, StoreError> {
    schemes_of(&mut store.read().await?, app, packages).await
}

/// Checks packages with constraints. `at` names the object that a grant is in the order, with a dot
/// behind it.
pub(super) async fn check_grants<'a>(
    tx: &mut Tx,
    app: &AppSlug,
    grants: impl Iterator<Item = &'a PackageGrant> + Clone + Send,
    at: impl Fn(usize) -> String + Send,
) -> Result<(), PackageTextError> {
    let schemes = schemes_of(tx, app, grants.clone().map(|it| it.package.as_str())).await?;
    let mut errors = Vec::new();
    for (
        index,
        PackageGrant {
            package,
            constraint,
        },
    ) in grants.enumerate()
    {
        let (scheme, at) = (schemes.of(package), at(index));
        let fault = |field: &str, message| FieldError::new(format!("{at}{field}"), message);
        let name = scheme.package(package).err();
        errors.extend(name.map(|message| fault("package", message)));
        let read = scheme.constraint(constraint).err();
        errors.extend(read.map(|error| fault("constraint", error.to_string())));
    }
    PackageTextError::of(errors)
}

/// Checks versions of packages.
pub(super) async fn check_versions(
    tx: &mut Tx,
    app: &AppSlug,
    versions: &[PackageVersion],
) -> Result<(), PackageTextError> {
    let names = versions.iter().map(|it| it.package.as_str());
    let schemes = schemes_of(tx, app, names).await?;
    let mut errors = Vec::new();
    for (index, PackageVersion { package, version }) in versions.iter().enumerate() {
        let scheme = schemes.of(package);
        let fault = |field, message| FieldError::new(format!("versions[{index}].{field}"), message);
        let name = scheme.package(package).err();
        errors.extend(name.map(|message| fault("package", message)));
        let read = scheme.version(version).err();
        errors.extend(read.map(|error| fault("version", error.to_string())));
    }
    PackageTextError::of(errors)
}

async fn schemes_of<'a>(
    tx: &mut Tx,
    app: &AppSlug,
    packages: impl Iterator<Item = &'a str> + Send,
) -> Result<Schemes, StoreError> {
    let packages: BTreeSet<String> = packages.map(str::to_owned).collect();
    tx.package_schemes(app, &packages).await
}

/// The path of one of several packages in an order.
pub(super) fn in_list(index: usize) -> String {
    format!("packages[{index}].")
}
