//! Migrations, whichever engine they are for.

use sqlx::SqlSafeStr;
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};

use super::StoreError;

/// A migration: version, name, statements.
pub(super) type Text = (i64, &'static str, &'static str);

/// The table in which sqlx keeps the migrations it has done.
const TABLE: &str = "_sqlx_migrations";

/// The migrator that brings a schema up to date. Two that run at once wait for each other.
pub(super) fn migrator(migrations: &[Text]) -> Migrator {
    let migration = |&(version, name, sql): &Text| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

/// Refuses a schema unless exactly these migrations have been done. Of a newer one this version does
/// not know what its rows mean.
pub(super) async fn check(
    connection: &mut impl Migrate,
    migrations: &[Text],
    is_missing_table: fn(&dyn DatabaseError) -> bool,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::Migrate { source };
    let applied = match connection.list_applied_migrations(TABLE).await {
        Ok(applied) => applied,
        // Nothing has ever been migrated.
        Err(MigrateError::Execute(sqlx::Error::Database(error))) if is_missing_table(&*error) => {
            return Err(StoreError::Outdated);
        }
        Err(error) => return Err(failed(error)),
    };
    let newest = applied
        .iter()
        .map(|it| it.version)
        .max()
        .unwrap_or_default();
    let known = migrations.iter().map(|it| it.0).max().unwrap_or_default();
    if newest > known {
        return Err(StoreError::Newer {
            schema: newest,
            known,
        });
    }
    let wanted = migrator(migrations);
    let wanted = wanted.iter().map(|it| (it.version, &it.checksum));
    let unfinished = connection.dirty_version(TABLE).await.map_err(failed)?;
    let done = applied.iter().map(|it| (it.version, &it.checksum));
    if unfinished.is_none() && wanted.eq(done) {
        Ok(())
    } else {
        Err(StoreError::Outdated)
    }
}
