-- The same tables as in the embedded store, in PostgreSQL's terms. Instants of our own clock are
-- TIMESTAMPTZ. Instants that are compared to the nanosecond, as providers send them, are whole
-- nanoseconds since 1970 in UTC (BIGINT): TIMESTAMPTZ keeps microseconds, and a due time cut to
-- them would be found due before it is. Documents are JSONB; what was signed is TEXT.
-- Every table but `apps`, `admin_tokens`, `idempotency_keys` and `messages` is of one app: apps are
-- walls.

-- Keys and codes. Compared byte by byte, as the embedded store does it, whatever the database's
-- collation is: an index in a language's order is wrong after an update of the system's library.
CREATE DOMAIN word AS TEXT COLLATE "C";

CREATE TABLE apps (
    slug         word PRIMARY KEY,
    name         TEXT NOT NULL,
    policy       JSONB NOT NULL,
    settings     JSONB NOT NULL,
    -- After a change of the policy, the last customer who is shown as the new one says, in the
    -- order of ids; empty before the first. NULL when all are.
    derive_after word,
    created_at   TIMESTAMPTZ NOT NULL
);

-- Webhooks that no secret of their endpoint had signed, by reason and day. Days are whole ones since
-- 1970, in UTC; a few weeks of them are kept.
CREATE TABLE refused_signatures (
    app      word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider word NOT NULL,
    reason   word NOT NULL,
    day      BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    last_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (app, provider, reason, day)
);

-- How many customers an app had at the first look of each day, by status. A year of them is kept.
CREATE TABLE customer_days (
    app       word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    day       BIGINT NOT NULL,
    status    word NOT NULL,
    customers BIGINT NOT NULL,
    PRIMARY KEY (app, day, status)
);
-- Workers ask every few minutes which day was the last, and remove the oldest.
CREATE INDEX customer_days_by_day ON customer_days (day);

-- Apps whose events, due times, replays and comparisons wait because an admin said so. The row stays
-- when the app goes on (`ended_at`), until all messages that waited are in the queue again.
CREATE TABLE pauses (
    app      word PRIMARY KEY REFERENCES apps (slug) ON DELETE CASCADE,
    since    TIMESTAMPTZ NOT NULL,
    reason   TEXT,
    ended_at TIMESTAMPTZ
);

-- The Composer repository that an app's customers see a part of, what opens it (sealed), and what
-- customers are told who are held.
CREATE TABLE registries (
    app       word PRIMARY KEY REFERENCES apps (slug) ON DELETE CASCADE,
    url       TEXT,
    sealed    BYTEA,
    held_text TEXT,
    held_url  TEXT
);

-- A provider's endpoint of an app exists while it has a current secret.
CREATE TABLE endpoint_secrets (
    id         word PRIMARY KEY,
    app        word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider   word NOT NULL,
    mode       word NOT NULL,
    sealed     BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ,
    uses       BIGINT NOT NULL,
    last_used_at TIMESTAMPTZ
);
-- Receivers read all secrets of all endpoints every few seconds; admins list those of one.
CREATE INDEX endpoint_secrets_by_endpoint ON endpoint_secrets (app, provider);

-- Keys of the providers' APIs, sealed. `leased_until`: a worker is asking with it.
CREATE TABLE api_keys (
    app          word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider     word NOT NULL,
    sealed       BYTEA NOT NULL,
    -- The settings of the servers say it.
    of_settings  BOOLEAN NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    leased_until TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (app, provider)
);

-- Questions to providers about objects that events left something open about. Whoever answers one
-- removes its row; one that was given up stays, with a word why. `version` grows with every need, so
-- that an answer to an older question does not settle a newer one.
CREATE TABLE refetches (
    id       word PRIMARY KEY,
    app      word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider word NOT NULL,
    key      word NOT NULL,
    reason   word NOT NULL,
    since    TIMESTAMPTZ NOT NULL,
    version  BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at  TIMESTAMPTZ NOT NULL,
    error    word,
    ended_at TIMESTAMPTZ,
    UNIQUE (app, key)
);
-- What is due, which workers ask every second for each key.
CREATE INDEX refetches_by_due ON refetches (app, provider, next_at) WHERE ended_at IS NULL;
-- The list of an app, newest first.
CREATE INDEX refetches_by_app ON refetches (app, id);

-- Endpoints whose secrets are of any mode and have verified a live event: test events count nowhere
-- from then on.
CREATE TABLE live_endpoints (
    app      word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider word NOT NULL,
    since    TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (app, provider)
);

CREATE TABLE customers (
    id                word PRIMARY KEY,
    app               word NOT NULL,
    home              word,
    made_at           TIMESTAMPTZ NOT NULL,
    updated_at        TIMESTAMPTZ NOT NULL,
    deleted_at        TIMESTAMPTZ,
    -- The row that is shown instead. Of a row that nobody sees it is the row itself, and the row
    -- counts as deleted.
    merged_into       word,
    admin_email       word,
    admin_external_id word,
    user_id           word,
    email             word,
    name              TEXT,
    external_id       word,
    status            word NOT NULL,
    status_since      TIMESTAMPTZ NOT NULL,
    due_at            BIGINT,
    frozen            BOOLEAN NOT NULL,
    kept              JSONB NOT NULL
);
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
    app           word NOT NULL,
    key           word NOT NULL,
    id            word NOT NULL,
    customer_id   word,
    linking_email word,
    changed_email word,
    seller_id     word,
    kept          JSONB NOT NULL,
    PRIMARY KEY (app, key)
);
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
    app     word NOT NULL,
    key     word NOT NULL,
    account word,
    kept    JSONB NOT NULL,
    PRIMARY KEY (app, key)
);
-- A customer's verdict needs all subscriptions of its accounts.
CREATE INDEX subscriptions_by_account ON subscriptions (app, account) WHERE account IS NOT NULL;

-- Payments by document: invoices, transactions, Checkout sessions. Never removed: a late fact of a
-- forgotten document would count in one order of arrival only.
CREATE TABLE payments (
    app          word NOT NULL,
    key          word NOT NULL,
    account      word,
    subscription word,
    kept         JSONB NOT NULL,
    PRIMARY KEY (app, key)
);
-- What a customer paid for; and the payments of a subscription, which may be known before their
-- account is.
CREATE INDEX payments_by_account ON payments (app, account) WHERE account IS NOT NULL;
CREATE INDEX payments_by_subscription ON payments (app, subscription)
    WHERE subscription IS NOT NULL;

CREATE TABLE disputes (
    app     word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key     word NOT NULL,
    account word,
    kept    JSONB NOT NULL,
    PRIMARY KEY (app, key)
);
CREATE INDEX disputes_by_account ON disputes (app, account) WHERE account IS NOT NULL;

CREATE TABLE refunds (
    app     word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key     word NOT NULL,
    account word,
    kept    JSONB NOT NULL,
    PRIMARY KEY (app, key)
);
CREATE INDEX refunds_by_account ON refunds (app, account) WHERE account IS NOT NULL;

-- Pairs of ids that one event named together, each stored from both sides, so that a walk needs
-- one index. Walks end at accounts, which would lead to a whole history.
CREATE TABLE pairs (
    app   word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key   word NOT NULL,
    other word NOT NULL,
    PRIMARY KEY (app, key, other)
);

-- Objects that events named without showing them. `cleared_at`: what an admin has looked at.
CREATE TABLE unfetched (
    app        word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key        word NOT NULL,
    at         BIGINT NOT NULL,
    cleared_at BIGINT,
    PRIMARY KEY (app, key)
);

-- Events that nobody's customer was found for and that came again with another body.
CREATE TABLE other_bodies (
    app  word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    key  word NOT NULL,
    kept JSONB NOT NULL,
    PRIMARY KEY (app, key)
);

-- Derived: what there is to look at, of customers and of objects that no customer was found for.
-- Prices without plans and packages without releases are looked for when they are read; of these
-- only those are here that an admin cleared. `place` is the order of the list and says all of a
-- flag.
CREATE TABLE flags (
    app     word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    place   word NOT NULL,
    kind    word NOT NULL,
    subject word NOT NULL,
    at      BIGINT,
    holder  word NOT NULL,
    bodies  JSONB,
    cleared BOOLEAN NOT NULL,
    PRIMARY KEY (app, holder, place)
);
-- The list of one kind. All kinds are put in order with the flags of set-up, which are in no index.
CREATE INDEX flags_by_kind ON flags (app, kind, place) WHERE NOT cleared;

-- Derived: the prices that give something to the customers that are shown. `plan`: the id of the
-- plan of the price; empty if it has none.
CREATE TABLE entitlements (
    app         word NOT NULL,
    customer_id word NOT NULL,
    provider    word NOT NULL,
    price       word NOT NULL,
    plan        word NOT NULL,
    PRIMARY KEY (customer_id, provider, price, plan)
);
-- Who has what a plan buys.
CREATE INDEX entitlements_by_plan ON entitlements (app, provider, plan, customer_id)
    WHERE plan <> '';
-- Who has a price without a plan, which is a flag.
CREATE INDEX entitlements_unmapped ON entitlements (app, customer_id) WHERE plan = '';

CREATE TABLE plans (
    app         word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider    word NOT NULL,
    price_id    word NOT NULL,
    name        TEXT,
    packages    JSONB NOT NULL,
    licenses    JSONB NOT NULL,
    counts      BOOLEAN NOT NULL,
    -- How long new versions are included in something bought once; NULL: for ever.
    updates     word,
    source      word NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (app, provider, price_id)
);

-- Plans of admins for prices that the settings name: they count when the settings do not any more.
CREATE TABLE waiting_plans (
    app         word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider    word NOT NULL,
    price_id    word NOT NULL,
    name        TEXT,
    packages    JSONB NOT NULL,
    licenses    JSONB NOT NULL,
    counts      BOOLEAN NOT NULL,
    -- How long new versions are included in something bought once; NULL: for ever.
    updates     word,
    updated_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (app, provider, price_id)
);

-- The packages of the plans, one row each.
CREATE TABLE plan_packages (
    app      word NOT NULL,
    provider word NOT NULL,
    price_id word NOT NULL,
    package  word NOT NULL,
    PRIMARY KEY (app, provider, price_id, package),
    FOREIGN KEY (app, provider, price_id) REFERENCES plans (app, provider, price_id)
        ON DELETE CASCADE
);
-- Which plans buy a package.
CREATE INDEX plan_packages_by_package ON plan_packages (app, package);

-- Grants by hand.
CREATE TABLE grants (
    app               word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id       word NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    package           word NOT NULL,
    version_constraint TEXT NOT NULL,
    -- `follow`: counts while billing lets the customer in; `ignore`: whatever billing says.
    billing           word NOT NULL,
    expires_at        BIGINT,
    created_at        TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (app, customer_id, package)
);
-- A deleted customer takes its grants along: the foreign key's own look-up.
CREATE INDEX grants_by_customer ON grants (customer_id);
-- Who was granted a package; and the names of all packages that anybody was.
CREATE INDEX grants_by_package ON grants (app, package);

-- How the versions of a package are read, where its app says so: `composer` (which is also what
-- counts where there is no row) or `semver`.
CREATE TABLE packages (
    app      word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package  word NOT NULL,
    versions word NOT NULL,
    PRIMARY KEY (app, package)
);

CREATE TABLE releases (
    app         word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package     word NOT NULL,
    version     TEXT NOT NULL,
    normalized  word NOT NULL,
    released_at BIGINT NOT NULL,
    -- What the archive of this version is made of, as Composer has it: a commit, mostly.
    reference   TEXT,
    PRIMARY KEY (app, package, normalized)
);

-- Changes whenever releases of a package do, in nanoseconds, and never goes back.
CREATE TABLE release_marks (
    app     word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package word NOT NULL,
    mark    BIGINT NOT NULL,
    PRIMARY KEY (app, package)
);

-- Archives of branches that a Composer repository has had: `file` is the name here, which has the
-- branch and the reference in it, `url` the address at the repository. A project's lock goes on naming
-- the reference that it was made with.
CREATE TABLE branch_archives (
    app     word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    package word NOT NULL,
    file    word NOT NULL,
    version TEXT NOT NULL,
    url     TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (app, package, file)
);

-- Access tokens of customers. `previous_until`: how long the text before the last rotation still
-- opens it, where it was given time.
CREATE TABLE tokens (
    id             word PRIMARY KEY,
    app            word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id    word NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    prefix         word NOT NULL,
    scope          word NOT NULL,
    packages       JSONB NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    expires_at     TIMESTAMPTZ,
    last_used_at   TIMESTAMPTZ,
    previous_until TIMESTAMPTZ
);
CREATE INDEX tokens_by_customer ON tokens (customer_id);

-- What opens tokens: of each text only the SHA-256 is kept, of 256 random bits or of a text that was
-- taken over. One table for present and previous texts, so that none can ever open two tokens.
-- `until`: the end of a previous text.
CREATE TABLE token_hashes (
    hash     BYTEA PRIMARY KEY,
    token_id word NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    until    TIMESTAMPTZ
);
CREATE INDEX token_hashes_by_token ON token_hashes (token_id);

-- What opened tokens of an app until these were rotated or revoked: an import that is run again brings
-- none of it back. Digests of random texts, which say nothing of anybody.
CREATE TABLE retired_token_hashes (
    app  TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hash BYTEA NOT NULL,
    PRIMARY KEY (app, hash)
);

-- Licences. A key is found by its SHA-256, which is unique within its app, and kept sealed, since it
-- is shown again. `key_made`: it was made here, and is found however it is typed. What was bought has
-- one for each product, however often it is looked at.
CREATE TABLE licenses (
    id             word PRIMARY KEY,
    app            word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id    word NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    product        word NOT NULL,
    key_hash       BYTEA NOT NULL,
    key_made       BOOLEAN NOT NULL,
    sealed_key     BYTEA NOT NULL,
    metadata       JSONB NOT NULL,
    created_at     TIMESTAMPTZ NOT NULL,
    expires_at     TIMESTAMPTZ,
    -- Activations that it may have at once, where an admin has said it; NULL: as its plan says.
    activations_limit BIGINT,
    revoked_at     TIMESTAMPTZ,
    revoked_reason TEXT,
    -- Of one that was bought: the subscription or the document of the payment, and the plan.
    source         word,
    plan           word,
    UNIQUE (app, key_hash),
    UNIQUE (app, source, product)
);
-- The list, newest first, and its cursor.
CREATE INDEX licenses_by_app ON licenses (app, id);
-- Those of a customer; also the foreign key's own look-up.
CREATE INDEX licenses_by_customer ON licenses (customer_id);

-- Where licences are in use. A fingerprint names a machine in the words of the seller's program, and
-- is active once. The unique one is also the foreign key's own look-up.
CREATE TABLE activations (
    id          word PRIMARY KEY,
    license_id  word NOT NULL REFERENCES licenses (id) ON DELETE CASCADE,
    fingerprint word NOT NULL,
    name        TEXT,
    created_at  TIMESTAMPTZ NOT NULL,
    UNIQUE (license_id, fingerprint)
);
-- The list of a licence, newest first, and its cursor.
CREATE INDEX activations_by_license ON activations (license_id, id);

CREATE TABLE admin_tokens (
    id           word PRIMARY KEY,
    app          word REFERENCES apps (slug) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    role         word NOT NULL,
    hash         BYTEA NOT NULL UNIQUE,
    prefix       word NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    expires_at   TIMESTAMPTZ,
    last_used_at TIMESTAMPTZ
);

-- Requests of the admin API that carry an Idempotency-Key, for a day. `id` is the SHA-256 of who
-- asks and the key. The row is there before the request does anything; `took_effect` is set by the
-- transaction that changes something, so that the two cannot disagree.
-- `about`: the customers that the answer tells of, with whom it goes.
CREATE TABLE idempotency_keys (
    id          word PRIMARY KEY,
    fingerprint word NOT NULL,
    holder      word NOT NULL,
    held_until  TIMESTAMPTZ NOT NULL,
    took_effect BOOLEAN NOT NULL,
    answer      BYTEA,
    about       TEXT,
    expires_at  TIMESTAMPTZ NOT NULL
);
-- What is a day old is removed every few minutes.
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- The ledger: one row an event for ever, so that no duplicate ever counts again. `digest`: what the
-- payload says, and in which version, so that a duplicate that says something else is noticed. The
-- payload itself goes after a time; `payload_removed_at` says since when it is gone.
CREATE TABLE events (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app          word NOT NULL,
    provider     word NOT NULL,
    id           word NOT NULL,
    receipt      word NOT NULL,
    type         word NOT NULL,
    account      word,
    livemode     BOOLEAN,
    mode         word NOT NULL,
    occurred_at  BIGINT,
    received_at  TIMESTAMPTZ NOT NULL,
    processed_at TIMESTAMPTZ,
    outcome      word NOT NULL,
    duplicates   BIGINT NOT NULL,
    attempts     BIGINT NOT NULL,
    error_code   word,
    error_detail TEXT,
    customer_id  word,
    billing_account word,
    changes      JSONB NOT NULL,
    payload_removed_at TIMESTAMPTZ,
    digest       word NOT NULL,
    UNIQUE (app, id, provider)
);
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
    seq     BIGINT PRIMARY KEY,
    payload TEXT NOT NULL
);
-- Compressing takes the server a third of the time with `lz4`. A server that was built without it keeps
-- what it has.
DO $$
BEGIN
    ALTER TABLE payloads ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;

-- Which events name an object: `hash` is the first eight bytes of the SHA-256 of its id, which is a
-- third of what the id itself would take.
CREATE TABLE event_objects (
    app  word NOT NULL,
    hash BIGINT NOT NULL,
    seq  BIGINT NOT NULL,
    PRIMARY KEY (app, hash, seq)
);

-- Replays of many events: what was ordered, and how far it is. `skipped`: how many of the events had
-- no payload any more. `leased_until` says until when a worker has it in hand.
CREATE TABLE replays (
    id           word PRIMARY KEY,
    app          word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    filter       JSONB NOT NULL,
    force        BOOLEAN NOT NULL,
    per_second   BIGINT,
    created_at   TIMESTAMPTZ NOT NULL,
    last_seq     BIGINT NOT NULL,
    cursor       BIGINT NOT NULL,
    matched      BIGINT NOT NULL,
    published    BIGINT NOT NULL,
    skipped      BIGINT NOT NULL,
    leased_until TIMESTAMPTZ NOT NULL,
    finished_at  TIMESTAMPTZ,
    canceled_at  TIMESTAMPTZ
);
-- An app has one open replay at a time. Workers ask every second whether any is open.
CREATE UNIQUE INDEX replays_open ON replays (app) WHERE finished_at IS NULL;
-- The list of an app, newest first.
CREATE INDEX replays_by_app ON replays (app, id);

-- Comparisons with what a provider says: what was ordered, how far it is (`stage`, `cursor`), and what
-- was found (`found`). `step` counts the pages, so that one that two workers read counts once. Times of
-- the provider are nanoseconds: `since` and `events_since` bound what is read, `provider_time` is its
-- clock at the start, from which the next one goes on.
CREATE TABLE reconciles (
    id            word PRIMARY KEY,
    app           word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider      word NOT NULL,
    dry_run       BOOLEAN NOT NULL,
    ordered_since BIGINT,
    since         BIGINT,
    events_since  BIGINT,
    provider_time BIGINT,
    stage         word NOT NULL,
    cursor        TEXT,
    step          BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    found         JSONB NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL,
    started_at    TIMESTAMPTZ,
    finished_at   TIMESTAMPTZ,
    outcome       word,
    error         JSONB,
    leased_until  TIMESTAMPTZ NOT NULL
);
-- An app has one that is open at each provider. Workers ask every second whether any is open.
CREATE UNIQUE INDEX reconciles_open ON reconciles (app, provider) WHERE finished_at IS NULL;
-- The list of an app, newest first.
CREATE INDEX reconciles_by_app ON reconciles (app, id);

-- The subscriptions that an open one has seen: which the provider does not list any more is known at
-- the end.
CREATE TABLE reconcile_seen (
    reconcile_id word NOT NULL REFERENCES reconciles (id) ON DELETE CASCADE,
    key          word NOT NULL,
    PRIMARY KEY (reconcile_id, key)
);

-- Customers who were deleted for good, by their rows, and how far the search for what else is kept
-- of them is. Of one that is finished the row says by id that there was an erasure, and when. One that
-- has to wait for something goes behind the others: its `turn` is greater than theirs.
CREATE TABLE erasures (
    app         word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    customer_id word NOT NULL,
    objects     JSONB NOT NULL,
    last_seq    BIGINT NOT NULL,
    stage       word NOT NULL,
    cursor      BIGINT NOT NULL,
    turn        BIGINT NOT NULL,
    ordered_at  TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    PRIMARY KEY (app, customer_id)
);
-- Workers ask every few seconds whether one is under way.
CREATE INDEX erasures_open ON erasures (ordered_at) WHERE finished_at IS NULL;
-- Whether a customer is one of them.
CREATE INDEX erasures_by_customer ON erasures (customer_id);

-- What is known to be of the billing accounts of these customers: ids of the accounts, and of whatever
-- events named together with them, in the form of `event_objects`. By this, later events are known
-- that name no account. `stage`: what is still to be done about events that came before their id was
-- known; NULL for nothing.
CREATE TABLE erased_objects (
    app     word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hash    BIGINT NOT NULL,
    account word NOT NULL,
    stage   word,
    PRIMARY KEY (app, hash, account)
);
CREATE INDEX erased_objects_by_account ON erased_objects (app, account);
-- Workers ask every few seconds whether there are any.
CREATE INDEX erased_objects_open ON erased_objects (stage, app) WHERE stage IS NOT NULL;

CREATE TABLE audit (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app         word NOT NULL,
    at          TIMESTAMPTZ NOT NULL,
    actor       word NOT NULL,
    event       word,
    customer_id word,
    operation   word NOT NULL,
    details     JSONB NOT NULL
);
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
CREATE FUNCTION refuse_audit_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND NOT EXISTS (SELECT 1 FROM apps WHERE slug = OLD.app) THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE'
        AND OLD.customer_id IS NOT NULL
        AND to_jsonb(NEW) - 'details' = to_jsonb(OLD) - 'details'
        AND NEW.details @> '{"erased": true}'
        AND (OLD.details @> (NEW.details - 'erased') OR NEW.details = '{"erased": true}')
        AND EXISTS (SELECT 1 FROM erasures WHERE app = OLD.app AND finished_at IS NULL)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();

-- Webhooks that receivers have acknowledged, until the ledger has them: `events` lists those of one
-- app that one receiver took in about a second. A row shrinks each time that it is looked at, and
-- goes when all its events are in the ledger. `nowhere`: the last look found that no queue has any.
CREATE TABLE acknowledged (
    seq      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app      word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    since    TIMESTAMPTZ NOT NULL,
    check_at TIMESTAMPTZ NOT NULL,
    reported BOOLEAN NOT NULL,
    nowhere  BOOLEAN NOT NULL,
    count    BIGINT NOT NULL,
    events   JSONB NOT NULL
);
-- As `payloads` is. A row is read and written whole, many times its events a second.
DO $$
BEGIN
    ALTER TABLE acknowledged ALTER COLUMN events SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;
END $$;
-- Those that are to be looked at; those of an app, oldest first.
CREATE INDEX acknowledged_by_check_at ON acknowledged (check_at);
CREATE INDEX acknowledged_by_app ON acknowledged (app, since);

-- The built-in queue. `lane` is `work` or `failed`; a message rests until `due_at`.
CREATE TABLE messages (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane    word NOT NULL,
    due_at  TIMESTAMPTZ NOT NULL,
    headers JSONB NOT NULL,
    body    TEXT NOT NULL
);
-- The next due messages of a lane, oldest first.
CREATE INDEX messages_by_due ON messages (lane, due_at, seq);

-- What every event writes: its app, and the customer or the event that it is of, are no foreign keys
-- here. The server checks those row by row, each with a query and a lock of its own, which took a
-- quarter of its time. Instead a statement's rows are checked together, with the same lock on the app;
-- rows of one transaction go without a look: entitlements come with their customers, payloads with
-- their events. What belongs to an app or to a customer goes with it all the same.
CREATE FUNCTION refuse_unknown_app() RETURNS TRIGGER LANGUAGE plpgsql AS $$
DECLARE
    unknown word;
BEGIN
    FOR unknown IN SELECT DISTINCT app FROM added LOOP
        PERFORM 1 FROM apps WHERE slug = unknown FOR KEY SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no app of these rows' USING ERRCODE = 'foreign_key_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE FUNCTION remove_of_app() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM payloads USING events WHERE events.app = OLD.slug AND payloads.seq = events.seq;
    DELETE FROM events WHERE app = OLD.slug;
    DELETE FROM event_objects WHERE app = OLD.slug;
    DELETE FROM audit WHERE app = OLD.slug;
    DELETE FROM entitlements WHERE app = OLD.slug;
    DELETE FROM payments WHERE app = OLD.slug;
    DELETE FROM subscriptions WHERE app = OLD.slug;
    DELETE FROM accounts WHERE app = OLD.slug;
    DELETE FROM customers WHERE app = OLD.slug;
    RETURN NULL;
END $$;
CREATE TRIGGER apps_take_rows AFTER DELETE ON apps FOR EACH ROW EXECUTE FUNCTION remove_of_app();
CREATE FUNCTION remove_of_customers() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM entitlements USING removed WHERE entitlements.customer_id = removed.id;
    RETURN NULL;
END $$;
CREATE TRIGGER customers_take_rows AFTER DELETE ON customers
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION remove_of_customers();
CREATE TRIGGER customers_of_known_apps AFTER INSERT ON customers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
CREATE TRIGGER accounts_of_known_apps AFTER INSERT ON accounts
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
CREATE TRIGGER subscriptions_of_known_apps AFTER INSERT ON subscriptions
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
CREATE TRIGGER payments_of_known_apps AFTER INSERT ON payments
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
CREATE TRIGGER entitlements_of_known_apps AFTER INSERT ON entitlements
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
CREATE TRIGGER events_of_known_apps AFTER INSERT ON events
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
CREATE TRIGGER event_objects_of_known_apps AFTER INSERT ON event_objects
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
CREATE TRIGGER audit_of_known_apps AFTER INSERT ON audit
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION refuse_unknown_app();
