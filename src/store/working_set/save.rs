//! Writing what changed in a working set, a statement a table.

use crate::domain::apply::working_set::WorkingSet;
use crate::domain::billing::history::{
    DisputeHistory, PaymentHistory, RefundHistory, SubscriptionHistory,
};
use crate::domain::customer::other_body::OtherBodies;
use crate::domain::customer::row::Customer;
use crate::domain::email::fold_email;
use crate::domain::id::{AppSlug, CustomerId, ObjectKey};
use crate::domain::identity::account::AccountHistory;
use crate::domain::spelling;
use crate::domain::time::Timestamp;
use crate::store::cell::Nanos;
use crate::store::record::{Rows, binds, record};
use crate::store::{StoreError, Tx};

record! {
    /// A customer's row. All columns but `kept` repeat what follows from it, for the indexes.
    struct CustomerColumns<'a> {
        id: &'a CustomerId,
        home: Option<&'a ObjectKey>,
        made_at: Timestamp,
        updated_at: Timestamp,
        deleted_at: Option<Timestamp>,
        merged_into: Option<&'a CustomerId>,
        admin_email: Option<String>,
        admin_external_id: &'a Option<String>,
        user_id: &'a Option<String>,
        email: Option<String>,
        name: Option<String>,
        external_id: &'a Option<String>,
        status: &'a str,
        status_since: Timestamp,
        due_at: Option<Nanos>,
        frozen: bool,
        kept: &'a Customer,
    }
}

impl<'a> From<&'a Customer> for CustomerColumns<'a> {
    fn from(customer: &'a Customer) -> Self {
        let (profile, shown) = (&customer.profile, &customer.derived);
        // To every look-up a hidden row is a deleted one that another stands for, which is itself.
        let itself = customer.hidden.then_some(&customer.id);
        let gone_at = customer.hidden.then_some(customer.updated_at);
        Self {
            id: &customer.id,
            home: customer.goes_with(),
            made_at: customer.made_at,
            updated_at: customer.updated_at,
            deleted_at: customer.deleted_at.or(gone_at),
            merged_into: customer.merged_into.as_ref().or(itself),
            admin_email: profile.folded_email(),
            admin_external_id: &profile.external_id,
            user_id: &profile.user_id,
            email: shown.contact.email.as_deref().and_then(fold_email),
            name: shown.contact.name.as_deref().map(spelling::fold),
            external_id: &shown.external_id,
            status: shown.status.as_str(),
            status_since: customer.status_since,
            due_at: shown.due_at.map(Nanos),
            frozen: customer.merged_into.is_none() && shown.is_frozen_by_time(),
            kept: customer,
        }
    }
}

record! {
    struct AccountColumns<'a> {
        key: &'a ObjectKey,
        id: &'a str,
        customer_id: &'a Option<CustomerId>,
        linking_email: &'a Option<String>,
        changed_email: Option<&'a str>,
        seller_id: Option<&'a str>,
        kept: &'a AccountHistory,
    }
}

record! {
    struct SubscriptionColumns<'a> {
        key: &'a ObjectKey,
        account: &'a Option<ObjectKey>,
        kept: &'a SubscriptionHistory,
    }
}

record! {
    struct PaymentColumns<'a> {
        key: &'a ObjectKey,
        account: &'a Option<ObjectKey>,
        subscription: &'a Option<ObjectKey>,
        kept: &'a PaymentHistory,
    }
}

record! {
    struct DisputeColumns<'a> {
        key: &'a ObjectKey,
        account: &'a Option<ObjectKey>,
        kept: &'a DisputeHistory,
    }
}

record! {
    struct RefundColumns<'a> {
        key: &'a ObjectKey,
        account: &'a Option<ObjectKey>,
        kept: &'a RefundHistory,
    }
}

record! {
    struct LinkColumns<'a> {
        key: &'a ObjectKey,
        other: &'a ObjectKey,
    }
}

record! {
    struct UnfetchedColumns<'a> {
        key: &'a ObjectKey,
        at: Nanos,
        cleared_at: Option<Nanos>,
    }
}

record! {
    struct OtherBodiesColumns<'a> {
        key: &'a ObjectKey,
        kept: &'a OtherBodies,
    }
}

impl Tx {
    /// Writes what has changed since loading. `now`: when operators are told of what there is to look
    /// at.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn working_set_save(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.lock_covers(app, working_set)?;
        self.working_set_save_customers(app, working_set).await?;
        self.entitlement_save(app, working_set).await?;
        self.flag_save(app, working_set, now).await?;
        self.working_set_save_accounts(app, working_set).await?;
        self.working_set_save_owned(app, working_set).await?;
        self.working_set_save_payments(app, working_set).await?;
        self.working_set_save_links(app, working_set).await?;
        self.working_set_save_unfetched(app, working_set).await?;
        self.working_set_save_other_bodies(app, working_set).await
    }

    async fn working_set_save_customers(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = working_set.changed.customers.iter();
        let changed = changed.filter_map(|id| working_set.customers.get(id));
        let rows: Rows<CustomerColumns<'_>> = changed.map(CustomerColumns::from).collect();
        let sql = r"
            INSERT INTO customers (
                app, id, home, made_at, updated_at, deleted_at, merged_into, admin_email,
                admin_external_id, user_id, email, name, external_id, status, status_since, due_at,
                frozen, kept
            )
            SELECT
                $2, id, home, made_at, updated_at, deleted_at, merged_into, admin_email,
                admin_external_id, user_id, email, name, external_id, status, status_since, due_at,
                frozen, kept
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (id) DO UPDATE SET
                updated_at = excluded.updated_at,
                deleted_at = excluded.deleted_at,
                merged_into = excluded.merged_into,
                admin_email = excluded.admin_email,
                admin_external_id = excluded.admin_external_id,
                user_id = excluded.user_id,
                email = excluded.email,
                name = excluded.name,
                external_id = excluded.external_id,
                status = excluded.status,
                status_since = excluded.status_since,
                due_at = excluded.due_at,
                frozen = excluded.frozen,
                kept = excluded.kept
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    async fn working_set_save_accounts(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = working_set.changed.accounts.iter();
        let changed = changed.filter_map(|key| working_set.accounts.get(key));
        let rows = changed.map(|account| AccountColumns {
            key: &account.key,
            id: &account.key.id,
            customer_id: &account.customer,
            linking_email: &account.linking_email,
            changed_email: (account.email.as_deref())
                .filter(|email| account.linking_email.as_deref() != Some(email)),
            seller_id: (account.history.seller_id.as_ref()).map(|(_, id)| id.as_str()),
            kept: &account.history,
        });
        let rows: Rows<AccountColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO accounts (
                app, key, id, customer_id, linking_email, changed_email, seller_id, kept
            )
            SELECT $2, key, id, customer_id, linking_email, changed_email, seller_id, kept
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET
                customer_id = excluded.customer_id,
                linking_email = excluded.linking_email,
                changed_email = excluded.changed_email,
                seller_id = excluded.seller_id,
                kept = excluded.kept
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    async fn working_set_save_owned(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = working_set.changed.subscriptions.iter();
        let changed = changed.filter_map(|key| working_set.subscriptions.get(key));
        let rows = changed.map(|it| SubscriptionColumns {
            key: &it.key,
            account: &it.account,
            kept: &it.history,
        });
        let rows: Rows<SubscriptionColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO subscriptions (app, key, account, kept)
            SELECT $2, key, account, kept
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET account = excluded.account, kept = excluded.kept
        ";
        self.execute(sql, binds![rows, app]).await?;

        let changed = working_set.changed.disputes.iter();
        let changed = changed.filter_map(|key| working_set.disputes.get(key));
        let rows = changed.map(|it| DisputeColumns {
            key: &it.key,
            account: &it.account,
            kept: &it.history,
        });
        let rows: Rows<DisputeColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO disputes (app, key, account, kept)
            SELECT $2, key, account, kept
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET account = excluded.account, kept = excluded.kept
        ";
        self.execute(sql, binds![rows, app]).await?;

        let changed = working_set.changed.refunds.iter();
        let changed = changed.filter_map(|key| working_set.refunds.get(key));
        let rows = changed.map(|it| RefundColumns {
            key: &it.key,
            account: &it.account,
            kept: &it.history,
        });
        let rows: Rows<RefundColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO refunds (app, key, account, kept)
            SELECT $2, key, account, kept
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET account = excluded.account, kept = excluded.kept
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    async fn working_set_save_payments(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = working_set.changed.payments.iter();
        let changed = changed.filter_map(|key| working_set.payments.get(key));
        let rows = changed.map(|it| PaymentColumns {
            key: &it.key,
            account: &it.account,
            subscription: &it.subscription,
            kept: &it.history,
        });
        let rows: Rows<PaymentColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO payments (app, key, account, subscription, kept)
            SELECT $2, key, account, subscription, kept
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET
                account = excluded.account,
                subscription = excluded.subscription,
                kept = excluded.kept
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    async fn working_set_save_links(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        // From both sides, so that a walk needs one index.
        let links = working_set.changed.payment_links.iter();
        let rows = links.flat_map(|(one, other)| [(one, other), (other, one)]);
        let rows = rows.map(|(key, other)| LinkColumns { key, other });
        let rows: Rows<LinkColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO pairs (app, key, other)
            SELECT $2, key, other
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key, other) DO NOTHING
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    async fn working_set_save_unfetched(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = working_set.changed.unfetched.iter();
        let rows = changed.filter_map(|key| {
            let history = working_set.unfetched.get(key)?;
            Some(UnfetchedColumns {
                key,
                at: Nanos(history.at),
                cleared_at: history.cleared_at.map(Nanos),
            })
        });
        let rows: Rows<UnfetchedColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO unfetched (app, key, at, cleared_at)
            SELECT $2, key, at, cleared_at
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET
                at = excluded.at,
                cleared_at = excluded.cleared_at
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }

    async fn working_set_save_other_bodies(
        &mut self,
        app: &AppSlug,
        working_set: &WorkingSet,
    ) -> Result<(), StoreError> {
        let changed = working_set.changed.other_bodies.iter();
        let rows = changed.filter_map(|key| {
            let kept = working_set.other_bodies.get(key)?;
            Some(OtherBodiesColumns { key, kept })
        });
        let rows: Rows<OtherBodiesColumns<'_>> = rows.collect();
        let sql = r"
            INSERT INTO other_bodies (app, key, kept)
            SELECT $2, key, kept
            FROM {rows} AS new
            WHERE true
            ON CONFLICT (app, key) DO UPDATE SET kept = excluded.kept
        ";
        self.execute(sql, binds![rows, app]).await?;
        Ok(())
    }
}
