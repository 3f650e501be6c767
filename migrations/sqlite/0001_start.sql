-- Instants are whole nanoseconds since 1970 in UTC (INTEGER). Documents are JSON text.
-- Every table but `apps`, `admin_tokens`, `idempotency_keys` and `messages` is of one app: apps are
-- walls.
--
-- A table WITHOUT ROWID begins with the columns of its key, in their order. `PRAGMA integrity_check`
-- of SQLite 3.40, which Debian 12 has, looks for NULLs in such a table by the place of a column in
-- its declaration, but rows are kept with the key in front: with any other order it reports NULLs
-- that are not there.

CREATE TABLE apps (
    slug         TEXT PRIMARY KEY,
    name         TEXT NOT NULL,
    policy       TEXT NOT NULL,
    settings     TEXT NOT NULL,
    -- After a change of the policy, the last customer who is shown as the new one says, in the
    -- order of ids; empty before the first. NULL when all are.
    derive_after TEXT,
    created_at   INTEGER NOT NULL
) STRICT;

-- Webhooks that no secret of their endpoint had signed, by reason and day. Days are whole ones since
-- 1970, in UTC; a few weeks of them are kept.
CREATE TABLE refused_signatures (
    app      TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    reason   TEXT NOT NULL,
    day      INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    PRIMARY KEY (app, provider, reason, day)
) STRICT, WITHOUT ROWID;

-- How many customers an app had at the first look of each day, by status. A year of them is kept.
CREATE TABLE customer_days (
    app       TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    day       INTEGER NOT NULL,
    status    TEXT NOT NULL,
    customers INTEGER NOT NULL,
    PRIMARY KEY (app, day, status)
) STRICT, WITHOUT ROWID;
-- Workers ask every few minutes which day was the last, and remove the oldest.
CREATE INDEX customer_days_by_day ON customer_days (day);

-- Apps whose events, due times, replays and comparisons wait because an admin said so. The row stays
-- when the app goes on (`ended_at`), until all messages that waited are in the queue again.
CREATE TABLE pauses (
    app      TEXT PRIMARY KEY REFERENCES apps (slug) ON DELETE CASCADE,
    since    INTEGER NOT NULL,
    reason   TEXT,
    ended_at INTEGER
) STRICT;

-- The Composer repository that an app's customers see a part of, what opens it (sealed), and what
-- customers are told who are held.
CREATE TABLE registries (
    app       TEXT PRIMARY KEY REFERENCES apps (slug) ON DELETE CASCADE,
    url       TEXT,
    sealed    BLOB,
    held_text TEXT,
    held_url  TEXT
) STRICT;

-- A provider's endpoint of an app exists while it has a current secret.
CREATE TABLE endpoint_secrets (
    id         TEXT PRIMARY KEY,
    app        TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider   TEXT NOT NULL,
    mode       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    uses       INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
-- Receivers read all secrets of all endpoints every few seconds; admins list those of one.
CREATE INDEX endpoint_secrets_by_endpoint ON endpoint_secrets (app, provider);

-- Keys of the providers' APIs, sealed. `leased_until`: a worker is asking with it.
CREATE TABLE api_keys (
    app          TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider     TEXT NOT NULL,
    sealed       BLOB NOT NULL,
    -- The settings of the servers say it.
    of_settings  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    PRIMARY KEY (app, provider)
) STRICT, WITHOUT ROWID;

-- Questions to providers about objects that events left something open about. Whoever answers one
-- removes its row; one that was given up stays, with a word why. `version` grows with every need, so
-- that an answer to an older question does not settle a newer one.
CREATE TABLE refetches (
    id       TEXT PRIMARY KEY,
    app      TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    key      TEXT NOT NULL,
    reason   TEXT NOT NULL,
    since    INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at  INTEGER NOT NULL,
    error    TEXT,
    ended_at INTEGER,
    UNIQUE (app, key)
) STRICT;
-- What is due, which workers ask every second for each key.
CREATE INDEX refetches_by_due ON refetches (app, provider, next_at) WHERE ended_at IS NULL;
-- The list of an app, newest first.
CREATE INDEX refetches_by_app ON refetches (app, id);

-- Endpoints whose secrets are of any mode and have verified a live event: test events count nowhere
-- from then on.
CREATE TABLE live_endpoints (
    app      TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (app, provider)
) STRICT, WITHOUT ROWID;

CREATE TABLE customers (
    id                TEXT PRIMARY KEY,
    app               TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    home              TEXT,
    made_at           INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    deleted_at        INTEGER,
    -- The row that is shown instead. Of a row that nobody sees it is the row itself, and the row
    -- counts as deleted.
    merged_into       TEXT,
    admin_email       TEXT,
    admin_external_id TEXT,
    user_id           TEXT,
    email             TEXT,
    name              TEXT,
    external_id       TEXT,
    status            TEXT NOT NULL,
    status_since      INTEGER NOT NULL,
    due_at            INTEGER,
    frozen            INTEGER NOT NULL,
    kept              TEXT NOT NULL
) STRICT;
-- The list, newest first, and its cursor: ids sort by the time of making. The other columns let a
-- list, and those of each status, be counted from the index alone: rows are wide, and there may be
-- a million.
CREATE INDEX customers_by_app ON customers (app, id, merged_into, deleted_at, status);
-- The rows that go along with an account.
CREATE INDEX customers_by_home ON customers (app, home) WHERE home IS NOT NULL;
-- Matching an account to an admin-made customer; get-or-create; 409.
CREATE INDEX customers_by_admin_email ON customers (app, admin_email) WHERE admin_email IS NOT NULL;
CREATE INDEX customers_by_admin_external_id ON customers (app, admin_external_id)
    WHERE admin_external_id IS NOT NULL;
-- Look-ups by what is shown.
CREATE INDEX customers_by_external_id ON customers (app, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX customers_by_user_id ON customers (app, user_id) WHERE user_id IS NOT NULL;
-- The rows that stand for a customer: the one that is shown, and those merged into it.
CREATE INDEX customers_by_shown ON customers (app, COALESCE(merged_into, id));
-- Timers that are due.
CREATE INDEX customers_by_due_at ON customers (due_at) WHERE due_at IS NOT NULL;
-- `frozen`: shown, and frozen to what was released until a day, so that it matters whether the
-- releases of its packages are known.
CREATE INDEX customers_by_frozen ON customers (app, id) WHERE frozen;

CREATE TABLE accounts (
    app           TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key           TEXT NOT NULL,
    id            TEXT NOT NULL,
    customer_id   TEXT,
    linking_email TEXT,
    changed_email TEXT,
    seller_id     TEXT,
    kept          TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;
-- All accounts of a customer, all that first held one address, and those that an external id means:
-- `id` is the provider's, without whose it is.
CREATE INDEX accounts_by_customer ON accounts (app, customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX accounts_by_id ON accounts (app, id);
CREATE INDEX accounts_by_linking_email ON accounts (app, linking_email) WHERE linking_email IS NOT NULL;
-- Whose current address is not their first: an address is shown of one customer only.
CREATE INDEX accounts_by_changed_email ON accounts (app, changed_email)
    WHERE changed_email IS NOT NULL;
-- All accounts of one id of the seller's own.
CREATE INDEX accounts_by_seller_id ON accounts (app, seller_id) WHERE seller_id IS NOT NULL;

CREATE TABLE subscriptions (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    account TEXT,
    kept    TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;
-- A customer's verdict needs all subscriptions of its accounts.
CREATE INDEX subscriptions_by_account ON subscriptions (app, account) WHERE account IS NOT NULL;

-- Payments by document: invoices, transactions, Checkout sessions. Never removed: a late fact of a
-- forgotten document would count in one order of arrival only.
CREATE TABLE payments (
    app          TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key          TEXT NOT NULL,
    account      TEXT,
    subscription TEXT,
    kept         TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT;
-- What a customer paid for; and the payments of a subscription, which may be known before their
-- account is.
CREATE INDEX payments_by_account ON payments (app, account) WHERE account IS NOT NULL;
CREATE INDEX payments_by_subscription ON payments (app, subscription)
    WHERE subscription IS NOT NULL;

CREATE TABLE disputes (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    account TEXT,
    kept    TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX disputes_by_account ON disputes (app, account) WHERE account IS NOT NULL;

CREATE TABLE refunds (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key     TEXT NOT NULL,
    account TEXT,
    kept    TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX refunds_by_account ON refunds (app, account) WHERE account IS NOT NULL;

-- Pairs of ids that one event named together, each stored from both sides, so that a walk needs
-- one index. Walks end at accounts, which would lead to a whole history.
CREATE TABLE pairs (
    app   TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key   TEXT NOT NULL,
    other TEXT NOT NULL,
    PRIMARY KEY (app, key, other)
) STRICT, WITHOUT ROWID;

-- Objects that events named without showing them. `cleared_at`: what an admin has looked at.
CREATE TABLE unfetched (
    app        TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key        TEXT NOT NULL,
    at         INTEGER NOT NULL,
    cleared_at INTEGER,
    PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;

-- Events that nobody's customer was found for and that came again with another body.
CREATE TABLE other_bodies (
    app  TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key  TEXT NOT NULL,
    kept TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;

-- Derived: what there is to look at, of customers and of objects that no customer was found for.
-- Prices without plans and packages without releases are looked for when they are read; of these
-- only those are here that an admin cleared. `place` is the order of the list and says all of a
-- flag.
CREATE TABLE flags (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    holder  TEXT NOT NULL,
    place   TEXT NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    at      INTEGER,
    bodies  TEXT,
    cleared INTEGER NOT NULL,
    PRIMARY KEY (app, holder, place)
) STRICT, WITHOUT ROWID;
-- The list of one kind. All kinds are put in order with the flags of set-up, which are in no index.
CREATE INDEX flags_by_kind ON flags (app, kind, place) WHERE NOT cleared;

-- Derived: the prices that give something to the customers that are shown. `plan`: the id of the
-- plan of the price; empty if it has none.
CREATE TABLE entitlements (
    customer_id TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    provider    TEXT NOT NULL,
    price       TEXT NOT NULL,
    plan        TEXT NOT NULL,
    app         TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    PRIMARY KEY (customer_id, provider, price, plan)
) STRICT, WITHOUT ROWID;
-- Who has what a plan buys.
CREATE INDEX entitlements_by_plan ON entitlements (app, provider, plan, customer_id)
    WHERE plan <> '';
-- Who has a price without a plan, which is a flag.
CREATE INDEX entitlements_unmapped ON entitlements (app, customer_id) WHERE plan = '';

CREATE TABLE plans (
    app         TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider    TEXT NOT NULL,
    price_id    TEXT NOT NULL,
    name        TEXT,
    packages    TEXT NOT NULL,
    licenses    TEXT NOT NULL,
    counts      INTEGER NOT NULL,
    -- How long new versions are included in something bought once; NULL: for ever.
    updates     TEXT,
    source      TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (app, provider, price_id)
) STRICT, WITHOUT ROWID;

-- Plans of admins for prices that the settings name: they count when the settings do not any more.
CREATE TABLE waiting_plans (
    app         TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider    TEXT NOT NULL,
    price_id    TEXT NOT NULL,
    name        TEXT,
    packages    TEXT NOT NULL,
    licenses    TEXT NOT NULL,
    counts      INTEGER NOT NULL,
    -- How long new versions are included in something bought once; NULL: for ever.
    updates     TEXT,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (app, provider, price_id)
) STRICT, WITHOUT ROWID;

-- The packages of the plans, one row each.
CREATE TABLE plan_packages (
    app      TEXT NOT NULL,
    provider TEXT NOT NULL,
    price_id TEXT NOT NULL,
    package  TEXT NOT NULL,
    PRIMARY KEY (app, provider, price_id, package),
    FOREIGN KEY (app, provider, price_id) REFERENCES plans (app, provider, price_id)
        ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
-- Which plans buy a package.
CREATE INDEX plan_packages_by_package ON plan_packages (app, package);

-- Grants by hand.
CREATE TABLE grants (
    app               TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id       TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    package           TEXT NOT NULL,
    version_constraint TEXT NOT NULL,
    -- `follow`: counts while billing lets the customer in; `ignore`: whatever billing says.
    billing           TEXT NOT NULL,
    expires_at        INTEGER,
    created_at        INTEGER NOT NULL,
    PRIMARY KEY (app, customer_id, package)
) STRICT, WITHOUT ROWID;
-- A deleted customer takes its grants along: the foreign key's own look-up.
CREATE INDEX grants_by_customer ON grants (customer_id);
-- Who was granted a package; and the names of all packages that anybody was.
CREATE INDEX grants_by_package ON grants (app, package);

-- How the versions of a package are read, where its app says so: `composer` (which is also what
-- counts where there is no row) or `semver`.
CREATE TABLE packages (
    app      TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package  TEXT NOT NULL,
    versions TEXT NOT NULL,
    PRIMARY KEY (app, package)
) STRICT, WITHOUT ROWID;

CREATE TABLE releases (
    app         TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package     TEXT NOT NULL,
    normalized  TEXT NOT NULL,
    version     TEXT NOT NULL,
    released_at INTEGER NOT NULL,
    -- What the archive of this version is made of, as Composer has it: a commit, mostly.
    reference   TEXT,
    PRIMARY KEY (app, package, normalized)
) STRICT, WITHOUT ROWID;

-- Changes whenever releases of a package do, in nanoseconds, and never goes back.
CREATE TABLE release_marks (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package TEXT NOT NULL,
    mark    INTEGER NOT NULL,
    PRIMARY KEY (app, package)
) STRICT, WITHOUT ROWID;

-- Archives of branches that a Composer repository has had: `file` is the name here, which has the
-- branch and the reference in it, `url` the address at the repository. A project's lock goes on naming
-- the reference that it was made with.
CREATE TABLE branch_archives (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package TEXT NOT NULL,
    file    TEXT NOT NULL,
    version TEXT NOT NULL,
    url     TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (app, package, file)
) STRICT, WITHOUT ROWID;

-- Access tokens of customers. `previous_until`: how long the text before the last rotation still
-- opens it, where it was given time.
CREATE TABLE tokens (
    id             TEXT PRIMARY KEY,
    app            TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id    TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    prefix         TEXT NOT NULL,
    scope          TEXT NOT NULL,
    packages       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    last_used_at   INTEGER,
    previous_until INTEGER
) STRICT;
CREATE INDEX tokens_by_customer ON tokens (customer_id);

-- What opens tokens: of each text only the SHA-256 is kept, of 256 random bits or of a text that was
-- taken over. One table for present and previous texts, so that none can ever open two tokens.
-- `until`: the end of a previous text.
CREATE TABLE token_hashes (
    hash     BLOB PRIMARY KEY,
    token_id TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    until    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX token_hashes_by_token ON token_hashes (token_id);

-- What opened tokens of an app until these were rotated or revoked: an import that is run again brings
-- none of it back. Digests of random texts, which say nothing of anybody.
CREATE TABLE retired_token_hashes (
    app  TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    PRIMARY KEY (app, hash)
) STRICT, WITHOUT ROWID;

-- Licences. A key is found by its SHA-256, which is unique within its app, and kept sealed, since it
-- is shown again. `key_made`: it was made here, and is found however it is typed. What was bought has
-- one for each product, however often it is looked at.
CREATE TABLE licenses (
    id             TEXT PRIMARY KEY,
    app            TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id    TEXT NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    product        TEXT NOT NULL,
    key_hash       BLOB NOT NULL,
    key_made       INTEGER NOT NULL,
    sealed_key     BLOB NOT NULL,
    metadata       TEXT NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    -- Activations that it may have at once, where an admin has said it; NULL: as its plan says.
    activations_limit INTEGER,
    revoked_at     INTEGER,
    revoked_reason TEXT,
    -- Of one that was bought: the subscription or the document of the payment, and the plan.
    source         TEXT,
    plan           TEXT,
    UNIQUE (app, key_hash),
    UNIQUE (app, source, product)
) STRICT;
-- The list, newest first, and its cursor.
CREATE INDEX licenses_by_app ON licenses (app, id);
-- Those of a customer; also the foreign key's own look-up.
CREATE INDEX licenses_by_customer ON licenses (customer_id);

-- Where licences are in use. A fingerprint names a machine in the words of the seller's program, and
-- is active once. The unique one is also the foreign key's own look-up.
CREATE TABLE activations (
    id          TEXT PRIMARY KEY,
    license_id  TEXT NOT NULL REFERENCES licenses (id) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    name        TEXT,
    created_at  INTEGER NOT NULL,
    UNIQUE (license_id, fingerprint)
) STRICT;
-- The list of a licence, newest first, and its cursor.
CREATE INDEX activations_by_license ON activations (license_id, id);

CREATE TABLE admin_tokens (
    id           TEXT PRIMARY KEY,
    app          TEXT REFERENCES apps (slug) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    prefix       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;

-- Requests of the admin API that carry an Idempotency-Key, for a day. `id` is the SHA-256 of who
-- asks and the key. The row is there before the request does anything; `took_effect` is set by the
-- transaction that changes something, so that the two cannot disagree.
-- `about`: the customers that the answer tells of, with whom it goes.
CREATE TABLE idempotency_keys (
    id          TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    holder      TEXT NOT NULL,
    held_until  INTEGER NOT NULL,
    took_effect INTEGER NOT NULL,
    answer      BLOB,
    about       TEXT,
    expires_at  INTEGER NOT NULL
) STRICT;
-- What is a day old is removed every few minutes.
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- The ledger: one row an event for ever, so that no duplicate ever counts again. `digest`: what the
-- payload says, and in which version, so that a duplicate that says something else is noticed. The
-- payload itself goes after a time; `payload_removed_at` says since when it is gone.
CREATE TABLE events (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    app          TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider     TEXT NOT NULL,
    id           TEXT NOT NULL,
    receipt      TEXT NOT NULL,
    type         TEXT NOT NULL,
    account      TEXT,
    livemode     INTEGER,
    mode         TEXT NOT NULL,
    occurred_at  INTEGER,
    received_at  INTEGER NOT NULL,
    processed_at INTEGER,
    outcome      TEXT NOT NULL,
    duplicates   INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    error_code   TEXT,
    error_detail TEXT,
    customer_id  TEXT,
    billing_account TEXT,
    changes      TEXT NOT NULL,
    payload_removed_at INTEGER,
    digest       TEXT NOT NULL,
    UNIQUE (app, id, provider)
) STRICT;
-- The list of an app, newest first; the chain of a customer; what failed.
CREATE INDEX events_by_app ON events (app, seq);
CREATE INDEX events_by_customer ON events (app, customer_id, seq) WHERE customer_id IS NOT NULL;
CREATE INDEX events_by_outcome ON events (app, outcome, seq);
-- The settled events whose payloads are removed next, oldest first, of all apps. Without it each
-- look would walk the whole ledger, most of which has no payload any more.
CREATE INDEX events_by_payload ON events (processed_at)
    WHERE payload_removed_at IS NULL AND outcome NOT IN ('pending', 'failed');
-- Those that were not processed, by the account that their payload names: it leads to the customer,
-- whoever that is by now. NULL once an event is processed.
CREATE INDEX events_by_billing_account
    ON events (app, billing_account, outcome, error_code, seq)
    WHERE billing_account IS NOT NULL;
-- Those with one error. Most events have none.
CREATE INDEX events_by_error ON events (app, error_code, seq) WHERE error_code IS NOT NULL;

-- What was signed, of each event that has its payload. A table of its own: it is nine tenths of what an
-- event takes, so without it the ledger is read and written in few pages, and what is removed leaves
-- whole pages, which the next payloads fill.
CREATE TABLE payloads (
    seq     INTEGER PRIMARY KEY REFERENCES events (seq) ON DELETE CASCADE,
    payload TEXT NOT NULL
) STRICT;

-- Which events name an object: `hash` is the first eight bytes of the SHA-256 of its id, which is a
-- third of what the id itself would take.
CREATE TABLE event_objects (
    app  TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hash INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (app, hash, seq)
) STRICT, WITHOUT ROWID;

-- Replays of many events: what was ordered, and how far it is. `skipped`: how many of the events had
-- no payload any more. `leased_until` says until when a worker has it in hand.
CREATE TABLE replays (
    id           TEXT PRIMARY KEY,
    app          TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    filter       TEXT NOT NULL,
    force        INTEGER NOT NULL,
    per_second   INTEGER,
    created_at   INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    cursor       INTEGER NOT NULL,
    matched      INTEGER NOT NULL,
    published    INTEGER NOT NULL,
    skipped      INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    finished_at  INTEGER,
    canceled_at  INTEGER
) STRICT;
-- An app has one open replay at a time. Workers ask every second whether any is open.
CREATE UNIQUE INDEX replays_open ON replays (app) WHERE finished_at IS NULL;
-- The list of an app, newest first.
CREATE INDEX replays_by_app ON replays (app, id);

-- Comparisons with what a provider says: what was ordered, how far it is (`stage`, `cursor`), and what
-- was found (`found`). `step` counts the pages, so that one that two workers read counts once. Times of
-- the provider are nanoseconds: `since` and `events_since` bound what is read, `provider_time` is its
-- clock at the start, from which the next one goes on.
CREATE TABLE reconciles (
    id            TEXT PRIMARY KEY,
    app           TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider      TEXT NOT NULL,
    dry_run       INTEGER NOT NULL,
    ordered_since INTEGER,
    since         INTEGER,
    events_since  INTEGER,
    provider_time INTEGER,
    stage         TEXT NOT NULL,
    cursor        TEXT,
    step          INTEGER NOT NULL,
    failures      INTEGER NOT NULL,
    found         TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    finished_at   INTEGER,
    outcome       TEXT,
    error         TEXT,
    leased_until  INTEGER NOT NULL
) STRICT;
-- An app has one that is open at each provider. Workers ask every second whether any is open.
CREATE UNIQUE INDEX reconciles_open ON reconciles (app, provider) WHERE finished_at IS NULL;
-- The list of an app, newest first.
CREATE INDEX reconciles_by_app ON reconciles (app, id);

-- The subscriptions that an open one has seen: which the provider does not list any more is known at
-- the end.
CREATE TABLE reconcile_seen (
    reconcile_id TEXT NOT NULL REFERENCES reconciles (id) ON DELETE CASCADE,
    key          TEXT NOT NULL,
    PRIMARY KEY (reconcile_id, key)
) STRICT, WITHOUT ROWID;

-- Customers who were deleted for good, by their rows, and how far the search for what else is kept
-- of them is. Of one that is finished the row says by id that there was an erasure, and when. One that
-- has to wait for something goes behind the others: its `turn` is greater than theirs.
CREATE TABLE erasures (
    app         TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id TEXT NOT NULL,
    objects     TEXT NOT NULL,
    last_seq    INTEGER NOT NULL,
    stage       TEXT NOT NULL,
    cursor      INTEGER NOT NULL,
    turn        INTEGER NOT NULL,
    ordered_at  INTEGER NOT NULL,
    finished_at INTEGER,
    PRIMARY KEY (app, customer_id)
) STRICT, WITHOUT ROWID;
-- Workers ask every few seconds whether one is under way.
CREATE INDEX erasures_open ON erasures (ordered_at) WHERE finished_at IS NULL;
-- Whether a customer is one of them.
CREATE INDEX erasures_by_customer ON erasures (customer_id);

-- What is known to be of the billing accounts of these customers: ids of the accounts, and of whatever
-- events named together with them, in the form of `event_objects`. By this, later events are known
-- that name no account. `stage`: what is still to be done about events that came before their id was
-- known; NULL for nothing.
CREATE TABLE erased_objects (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hash    INTEGER NOT NULL,
    account TEXT NOT NULL,
    stage   TEXT,
    PRIMARY KEY (app, hash, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX erased_objects_by_account ON erased_objects (app, account);
-- Workers ask every few seconds whether there are any.
CREATE INDEX erased_objects_open ON erased_objects (stage, app) WHERE stage IS NOT NULL;

CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    app         TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    at          INTEGER NOT NULL,
    actor       TEXT NOT NULL,
    event       TEXT,
    customer_id TEXT,
    operation   TEXT NOT NULL,
    details     TEXT NOT NULL
) STRICT;
-- The list of an app, newest first; the entries of a customer; what one event changed.
CREATE INDEX audit_by_app ON audit (app, seq);
CREATE INDEX audit_by_customer ON audit (app, customer_id, seq) WHERE customer_id IS NOT NULL;
CREATE INDEX audit_by_event ON audit (app, event) WHERE event IS NOT NULL;
-- What one admin did. Most entries are of events, and cost this index nothing.
CREATE INDEX audit_by_actor ON audit (app, actor, seq) WHERE event IS NULL;
-- Append-only: an entry goes only when its app is gone, because nothing of a deleted tenant may
-- stay; that the app was deleted is an entry of the app `default`. The details of customers'
-- entries change only while a customer is being erased, because nothing about that person may stay
-- either, not in the entries of others: fields of theirs give way to `erased`. All else never
-- changes.
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    WHEN NOT EXISTS (
        SELECT 1
        FROM erasures
        WHERE erasures.app = OLD.app
            AND erasures.finished_at IS NULL
            AND NEW.seq = OLD.seq
            AND NEW.app = OLD.app
            AND NEW.at = OLD.at
            AND NEW.actor = OLD.actor
            AND NEW.event IS OLD.event
            AND NEW.customer_id = OLD.customer_id
            AND NEW.operation = OLD.operation
            AND NEW.details -> 'erased' = 'true'
            AND NOT EXISTS (
                SELECT 1
                FROM json_each(NEW.details) AS new_field
                WHERE new_field.key <> 'erased'
                    AND NOT EXISTS (
                        SELECT 1
                        FROM json_each(OLD.details) AS old_field
                        WHERE old_field.key = new_field.key
                            AND old_field.type = new_field.type
                            AND old_field.value IS new_field.value
                    )
            )
    )
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    WHEN EXISTS (SELECT 1 FROM apps WHERE slug = OLD.app)
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

-- Webhooks that receivers have acknowledged, until the ledger has them: `events` lists those of one
-- app that one receiver took in about a second. A row shrinks each time that it is looked at, and
-- goes when all its events are in the ledger. `nowhere`: the last look found that no queue has any.
CREATE TABLE acknowledged (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    app      TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    since    INTEGER NOT NULL,
    check_at INTEGER NOT NULL,
    reported INTEGER NOT NULL,
    nowhere  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    events   TEXT NOT NULL
) STRICT;
-- Those that are to be looked at; those of an app, oldest first.
CREATE INDEX acknowledged_by_check_at ON acknowledged (check_at);
CREATE INDEX acknowledged_by_app ON acknowledged (app, since);

-- The built-in queue. `lane` is `work` or `failed`; a message rests until `due_at`.
CREATE TABLE messages (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    lane    TEXT NOT NULL,
    due_at  INTEGER NOT NULL,
    headers TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;
-- The next due messages of a lane, oldest first.
CREATE INDEX messages_by_due ON messages (lane, due_at, seq);

-- What SQLite plans by: rows of an index, then how many of them share the first column, the first
-- two, and so on. Without it SQLite takes an app for a small part of a table, and walks all of it
-- for each key that it looks up. These are the sizes of a large store, where a bad plan hurts; in a
-- small one every plan is fast. `ANALYZE` makes the table; over empty tables it knows nothing.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('customers', 'customers_by_app', '1000000 1000000 1 1 1 1'),
    ('customers', 'customers_by_frozen', '100000 100000 1'),
    ('customers', 'customers_by_due_at', '100000 1'),
    ('customers', 'customers_by_shown', '1000000 1000000 1'),
    ('customers', 'customers_by_user_id', '1000000 1000000 1'),
    ('customers', 'customers_by_external_id', '1000000 1000000 1'),
    ('customers', 'customers_by_admin_external_id', '1000000 1000000 1'),
    ('customers', 'customers_by_admin_email', '1000000 1000000 1'),
    ('customers', 'customers_by_home', '1000000 1000000 1'),
    ('accounts', 'accounts', '1000000 1000000 1'),
    ('accounts', 'accounts_by_id', '1000000 1000000 1'),
    ('accounts', 'accounts_by_linking_email', '1000000 1000000 1'),
    ('accounts', 'accounts_by_changed_email', '10000 10000 1'),
    ('accounts', 'accounts_by_seller_id', '1000000 1000000 1'),
    ('accounts', 'accounts_by_customer', '1000000 1000000 2'),
    ('subscriptions', 'subscriptions', '1000000 1000000 1'),
    ('subscriptions', 'subscriptions_by_account', '1000000 1000000 2'),
    ('payments', 'payments', '10000000 10000000 1'),
    ('payments', 'payments_by_account', '10000000 10000000 20'),
    ('payments', 'payments_by_subscription', '10000000 10000000 20'),
    ('disputes', 'disputes', '10000 10000 1'),
    ('disputes', 'disputes_by_account', '10000 10000 1'),
    ('refunds', 'refunds', '1000000 1000000 1'),
    ('refunds', 'refunds_by_account', '10000 10000 1'),
    ('pairs', 'pairs', '10000000 10000000 3 1'),
    ('unfetched', 'unfetched', '1000 1000 1'),
    ('other_bodies', 'other_bodies', '100 100 1'),
    ('flags', 'flags', '10000 10000 2 1'),
    ('flags', 'flags_by_kind', '10000 10000 1000 1'),
    ('entitlements', 'entitlements', '1000000 1 1 1 1'),
    ('entitlements', 'entitlements_by_plan', '1000000 1000000 500000 10000 1'),
    ('entitlements', 'entitlements_unmapped', '1000 1000 1'),
    ('plans', 'plans', '100 100 50 1'),
    ('plan_packages', 'plan_packages', '1000 1000 500 10 1'),
    ('plan_packages', 'plan_packages_by_package', '1000 1000 10'),
    ('grants', 'grants', '100000 100000 2 1'),
    ('grants', 'grants_by_package', '100000 100000 1000'),
    ('grants', 'grants_by_customer', '100000 2'),
    ('packages', 'packages', '1000 1000 1'),
    ('releases', 'releases', '10000 10000 100 1'),
    ('release_marks', 'release_marks', '100 100 1'),
    ('branch_archives', 'branch_archives', '10000 10000 100 1'),
    ('tokens', 'tokens_by_customer', '1000000 1'),
    ('token_hashes', 'token_hashes', '1000000 1'),
    ('token_hashes', 'token_hashes_by_token', '1000000 1'),
    ('retired_token_hashes', 'retired_token_hashes', '100000 100000 1'),
    ('licenses', 'licenses_by_customer', '1000000 2'),
    ('licenses', 'licenses_by_app', '1000000 1000000 1'),
    ('licenses', 'sqlite_autoindex_licenses_2', '1000000 1000000 1'),
    ('licenses', 'sqlite_autoindex_licenses_3', '1000000 1000000 2 1'),
    ('activations', 'activations_by_license', '3000000 3 1'),
    ('activations', 'sqlite_autoindex_activations_1', '3000000 1'),
    ('activations', 'sqlite_autoindex_activations_2', '3000000 3 1'),
    ('events', 'events_by_app', '10000000 10000000 1'),
    ('events', 'events_by_customer', '10000000 10000000 20 1'),
    ('events', 'events_by_outcome', '10000000 10000000 2000000 1'),
    ('events', 'events_by_payload', '2000000 1'),
    ('events', 'events_by_billing_account', '10000 10000 10 10 10 1'),
    ('events', 'events_by_error', '100000 100000 1000 1'),
    ('events', 'sqlite_autoindex_events_1', '10000000 10000000 1 1'),
    ('event_objects', 'event_objects', '50000000 50000000 2 1'),
    ('payloads', NULL, '2000000'),
    ('audit', 'audit_by_app', '10000000 10000000 1'),
    ('audit', 'audit_by_customer', '10000000 10000000 20 1'),
    ('audit', 'audit_by_actor', '10000000 10000000 10000 1'),
    ('audit', 'audit_by_event', '10000000 10000000 2'),
    ('messages', 'messages_by_due', '10000 5000 1 1'),
    ('acknowledged', 'acknowledged_by_app', '1000 1000 1'),
    ('acknowledged', 'acknowledged_by_check_at', '1000 10'),
    ('endpoint_secrets', 'endpoint_secrets_by_endpoint', '100 10 2'),
    ('idempotency_keys', 'idempotency_keys_by_expiry', '10000 1'),
    ('refetches', 'refetches_by_due', '1000 1000 500 1'),
    ('refetches', 'refetches_by_app', '10000 10000 1'),
    ('refetches', 'sqlite_autoindex_refetches_2', '10000 10000 1'),
    ('replays', 'replays_by_app', '1000 100 1'),
    ('replays', 'replays_open', '1 1'),
    ('reconciles', 'reconciles_by_app', '1000 100 1'),
    ('reconciles', 'reconciles_open', '1 1 1'),
    ('reconcile_seen', 'reconcile_seen', '100000 100000 1'),
    ('customer_days', 'customer_days', '100000 1000 4 1'),
    ('customer_days', 'customer_days_by_day', '100000 400 100 1'),
    ('refused_signatures', 'refused_signatures', '1000 50 25 10 1'),
    ('erasures', 'erasures', '100000 100000 1'),
    ('erasures', 'erasures_open', '1 1'),
    ('erasures', 'erasures_by_customer', '100000 1'),
    ('erased_objects', 'erased_objects', '1000000 1000000 1 1'),
    ('erased_objects', 'erased_objects_by_account', '1000000 1000000 20'),
    ('erased_objects', 'erased_objects_open', '1 1 1');
-- Reads it anew.
ANALYZE sqlite_schema;
