-- What is told to others of changes: an outbox, webhooks of an app's own, and their deliveries.

-- Changes that somebody is to be told of, in the transaction that makes them. `published_at`: the
-- broker has it, or there is none. What nobody but the broker wants goes as soon as that has it; the
-- rest stays for a time, to be sent again. `data` names packages, prices and ids, and goes when its
-- customer is erased. No foreign key to the app, for the reason that `audit` has none: a row is
-- written with its entry there.
CREATE TABLE changes (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL,
    app          TEXT NOT NULL,
    customer_id  TEXT,
    kind         TEXT NOT NULL,
    occurred_at  INTEGER NOT NULL,
    data         TEXT NOT NULL,
    published_at INTEGER
) STRICT;
-- What the broker is to have next, oldest first, which workers ask several times a second.
CREATE INDEX changes_unpublished ON changes (seq) WHERE published_at IS NULL;
-- What has been kept long enough, oldest first.
CREATE INDEX changes_by_published_at ON changes (published_at) WHERE published_at IS NOT NULL;
-- Those of a customer that is erased.
CREATE INDEX changes_by_customer ON changes (app, customer_id) WHERE customer_id IS NOT NULL;

-- Who does what one process at a time may do, until when.
CREATE TABLE leases (
    name   TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until  INTEGER NOT NULL
) STRICT;

-- Webhooks of an app's own. `failing_since`: nothing was delivered since; `failures` counts the rounds
-- that delivered nothing, `rest_until` says when the next one is. `leased_until`: a worker delivers.
CREATE TABLE hooks (
    id            TEXT PRIMARY KEY,
    app           TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    url           TEXT NOT NULL,
    kinds         TEXT NOT NULL,
    body          TEXT NOT NULL,
    description   TEXT,
    status        TEXT NOT NULL,
    reason        TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    failing_since INTEGER,
    failures      INTEGER NOT NULL,
    rest_until    INTEGER NOT NULL,
    leased_until  INTEGER NOT NULL
) STRICT;
-- The list of an app; and who is to be told of a change, which every batch of events asks.
CREATE INDEX hooks_by_app ON hooks (app, id);

-- What deliveries of a hook are signed with, sealed; two while one takes the place of the other.
CREATE TABLE hook_secrets (
    id         TEXT PRIMARY KEY,
    app        TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hook_id    TEXT NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;
CREATE INDEX hook_secrets_by_hook ON hook_secrets (hook_id);
-- Everything of an app goes with it: the foreign key's own look-up.
CREATE INDEX hook_secrets_by_app ON hook_secrets (app);

-- Deliveries of changes to hooks. One waits until `settled_at`; the next try is at `next_at`.
CREATE TABLE hook_deliveries (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    app         TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hook_id     TEXT NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
    change_seq  INTEGER NOT NULL REFERENCES changes (seq) ON DELETE CASCADE,
    customer_id TEXT,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    tried_at    INTEGER,
    settled_at  INTEGER,
    status      INTEGER,
    error       TEXT
) STRICT;
-- What is due at a hook, oldest first; and whether anything is.
CREATE INDEX hook_deliveries_due ON hook_deliveries (hook_id, next_at, seq)
    WHERE settled_at IS NULL;
-- Whether an older one of the same customer waits.
CREATE INDEX hook_deliveries_of_customer ON hook_deliveries (hook_id, customer_id, seq)
    WHERE settled_at IS NULL;
-- The list of a hook, newest first.
CREATE INDEX hook_deliveries_by_hook ON hook_deliveries (hook_id, seq);
-- Whether a change is still to be delivered; those that go with it.
CREATE INDEX hook_deliveries_by_change ON hook_deliveries (change_seq);
-- Everything of an app goes with it, a part at a time.
CREATE INDEX hook_deliveries_by_app ON hook_deliveries (app, seq);

-- When each endpoint of a provider last took a webhook that was signed with a secret of its own.
-- `of_settings`: by one that only the settings of the receivers have. `told_of`: nothing had come since
-- then when operators were told so. Read as a whole: an app has as many rows as providers.
CREATE TABLE endpoint_receipts (
    app      TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    last_at  INTEGER NOT NULL,
    of_settings INTEGER NOT NULL,
    told_of  INTEGER,
    PRIMARY KEY (app, provider)
) STRICT;

-- Flags for packages without releases, which are looked for and not written down, of which operators
-- were told: once for all customers who have one.
CREATE TABLE told_flags (
    app     TEXT NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (app, kind, subject)
) STRICT;

CREATE TRIGGER apps_take_changes AFTER DELETE ON apps
BEGIN
    DELETE FROM changes WHERE app = OLD.slug;
END;

-- The rows merged into one, which few have: what every batch of events and every access check asks for
-- is found in a few pages, however many customers there are.
CREATE INDEX customers_by_merged_into ON customers (app, merged_into) WHERE merged_into IS NOT NULL;

-- Everything of an app goes with it, a part at a time, and by the foreign key's own look-up, which read all
-- tokens of all apps.
CREATE INDEX tokens_by_app ON tokens (app, id);

-- A large app is deleted a part at a time: hidden, and its tables emptied one by one. The name of the table
-- that is being emptied, empty before the first; NULL for an app that is there.
ALTER TABLE apps ADD COLUMN deleting TEXT;

-- As before, and entries of an app that is being deleted go with its other rows.
DROP TRIGGER audit_no_delete;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    WHEN EXISTS (SELECT 1 FROM apps WHERE slug = OLD.app AND deleting IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

-- What SQLite plans by, as in `0001_start.sql`.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('changes', 'changes_unpublished', '1000 1'),
    ('changes', 'changes_by_published_at', '1000000 1'),
    ('changes', 'changes_by_customer', '1000000 1000000 10'),
    ('customers', 'customers_by_merged_into', '10000 10000 1'),
    ('leases', 'sqlite_autoindex_leases_1', '1 1'),
    ('tokens', 'tokens_by_app', '1000000 1000000 1'),
    ('endpoint_receipts', 'sqlite_autoindex_endpoint_receipts_1', '100 2 1'),
    ('hooks', 'hooks_by_app', '100 5 1'),
    ('told_flags', 'sqlite_autoindex_told_flags_1', '100 50 20 1'),
    ('hook_secrets', 'hook_secrets_by_hook', '100 1'),
    ('hook_secrets', 'hook_secrets_by_app', '100 5'),
    ('hook_deliveries', 'sqlite_autoindex_hook_deliveries_1', '1000000 1'),
    ('hook_deliveries', 'hook_deliveries_due', '1000 500 1 1'),
    ('hook_deliveries', 'hook_deliveries_of_customer', '1000 500 2 1'),
    ('hook_deliveries', 'hook_deliveries_by_hook', '1000000 500000 1'),
    ('hook_deliveries', 'hook_deliveries_by_change', '1000000 1'),
    ('hook_deliveries', 'hook_deliveries_by_app', '1000000 1000000 1');
ANALYZE sqlite_schema;

-- Sessions of the console that were ended before their time: what each is told by, and when it would have
-- ended. A day has few.
CREATE TABLE ended_sessions (
    session TEXT PRIMARY KEY,
    ends_at INTEGER NOT NULL
) STRICT;

-- The id of this store, by which a shared broker tells installations apart. Created by the first server
-- that connects to a broker; a copy of the database keeps it.
CREATE TABLE installation (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    id       TEXT NOT NULL
) STRICT;
