-- What is told to others of changes: an outbox, webhooks of an app's own, and their deliveries.

-- Changes that somebody is to be told of, in the transaction that makes them. `published_at`: the
-- broker has it, or there is none. What nobody but the broker wants goes as soon as that has it; the
-- rest stays for a time, to be sent again. `data` names packages, prices and ids, and goes when its
-- customer is erased. No foreign key to the app, for the reason that `audit` has none: a row is
-- written with its entry there.
CREATE TABLE changes (
    seq          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           word NOT NULL,
    app          word NOT NULL,
    customer_id  word,
    kind         word NOT NULL,
    occurred_at  TIMESTAMPTZ NOT NULL,
    data         JSONB NOT NULL,
    published_at TIMESTAMPTZ
);
-- What the broker is to have next, oldest first, which workers ask several times a second.
CREATE INDEX changes_unpublished ON changes (seq) WHERE published_at IS NULL;
-- What has been kept long enough, oldest first.
CREATE INDEX changes_by_published_at ON changes (published_at) WHERE published_at IS NOT NULL;
-- Those of a customer that is erased.
CREATE INDEX changes_by_customer ON changes (app, customer_id) WHERE customer_id IS NOT NULL;

-- Who does what one process at a time may do, until when.
CREATE TABLE leases (
    name   word PRIMARY KEY,
    holder word NOT NULL,
    until  TIMESTAMPTZ NOT NULL
);

-- Webhooks of an app's own. `failing_since`: nothing was delivered since; `failures` counts the rounds
-- that delivered nothing, `rest_until` says when the next one is. `leased_until`: a worker delivers.
CREATE TABLE hooks (
    id            word PRIMARY KEY,
    app           word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    url           TEXT NOT NULL,
    kinds         JSONB NOT NULL,
    body          word NOT NULL,
    description   TEXT,
    status        word NOT NULL,
    reason        word,
    created_at    TIMESTAMPTZ NOT NULL,
    updated_at    TIMESTAMPTZ NOT NULL,
    failing_since TIMESTAMPTZ,
    failures      BIGINT NOT NULL,
    rest_until    TIMESTAMPTZ NOT NULL,
    leased_until  TIMESTAMPTZ NOT NULL
);
-- The list of an app; and who is to be told of a change, which every batch of events asks.
CREATE INDEX hooks_by_app ON hooks (app, id);

-- What deliveries of a hook are signed with, sealed; two while one takes the place of the other.
CREATE TABLE hook_secrets (
    id         word PRIMARY KEY,
    app        word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hook_id    word NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
    sealed     BYTEA NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ
);
CREATE INDEX hook_secrets_by_hook ON hook_secrets (hook_id);
-- Everything of an app goes with it: the foreign key's own look-up.
CREATE INDEX hook_secrets_by_app ON hook_secrets (app);

-- Deliveries of changes to hooks. One waits until `settled_at`; the next try is at `next_at`. It is written
-- with its change and goes with it, by a trigger: a foreign key would look for the deliveries of each change
-- that the broker has, one by one, and most have none.
CREATE TABLE hook_deliveries (
    seq         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id          word NOT NULL UNIQUE,
    app         word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    hook_id     word NOT NULL REFERENCES hooks (id) ON DELETE CASCADE,
    change_seq  BIGINT NOT NULL,
    customer_id word,
    kind        word NOT NULL,
    state       word NOT NULL,
    attempts    BIGINT NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    next_at     TIMESTAMPTZ NOT NULL,
    tried_at    TIMESTAMPTZ,
    settled_at  TIMESTAMPTZ,
    status      BIGINT,
    error       word
);
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

CREATE FUNCTION remove_deliveries_of_changes() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM hook_deliveries USING removed WHERE hook_deliveries.change_seq = removed.seq;
    RETURN NULL;
END $$;
CREATE TRIGGER changes_take_deliveries AFTER DELETE ON changes
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION remove_deliveries_of_changes();

-- When each endpoint of a provider last took a webhook that was signed with a secret of its own.
-- `of_settings`: by one that only the settings of the receivers have. `told_of`: nothing had come since
-- then when operators were told so. Read as a whole: an app has as many rows as providers.
CREATE TABLE endpoint_receipts (
    app      word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    provider word NOT NULL,
    last_at  TIMESTAMPTZ NOT NULL,
    of_settings BOOLEAN NOT NULL,
    told_of  TIMESTAMPTZ,
    PRIMARY KEY (app, provider)
);

-- Flags for packages without releases, which are looked for and not written down, of which operators
-- were told: once for all customers who have one.
CREATE TABLE told_flags (
    app     word NOT NULL REFERENCES apps (slug) ON DELETE CASCADE,
    kind    word NOT NULL,
    subject word NOT NULL,
    PRIMARY KEY (app, kind, subject)
);

-- Sessions of the console that were ended before their time: what each is told by, and when it would have
-- ended. A day has few.
CREATE TABLE ended_sessions (
    session word PRIMARY KEY,
    ends_at TIMESTAMPTZ NOT NULL
);

CREATE FUNCTION remove_changes_of_app() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM changes WHERE app = OLD.slug;
    RETURN NULL;
END $$;
CREATE TRIGGER apps_take_changes AFTER DELETE ON apps
    FOR EACH ROW EXECUTE FUNCTION remove_changes_of_app();

-- Room in each page for the next state of a row, which then needs no entry in any of the ten indexes: only
-- columns without one differ in most updates.
ALTER TABLE customers SET (fillfactor = 70);

-- The rows merged into one, which few have: what every batch of events and every access check asks for
-- is found in a few pages, however many customers there are.
CREATE INDEX customers_by_merged_into ON customers (app, merged_into) WHERE merged_into IS NOT NULL;

-- The id of this store, by which a shared broker tells installations apart. Created by the first server
-- that connects to a broker; a copy of the database keeps it.
CREATE TABLE installation (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    id       word NOT NULL
);

-- Everything of an app goes with it, a part at a time, and by the foreign key's own look-up, which read all
-- tokens of all apps.
CREATE INDEX tokens_by_app ON tokens (app, id);

-- What came or changed since an instant: few pages of a table that is written in this order, more or less.
-- Whoever asks again and again what is new gets an answer without a walk through everything. It takes
-- no room to speak of, and next to no time to write. Without `autosummarize` the newest fifth of
-- a table may be read.
CREATE INDEX events_by_arrival ON events USING BRIN (received_at)
    WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX audit_by_time ON audit USING BRIN (at)
    WITH (pages_per_range = 32, autosummarize = on);

-- A large app is deleted a part at a time: hidden, and its tables emptied one by one. The name of the table
-- that is being emptied, empty before the first; NULL for an app that is there.
ALTER TABLE apps ADD COLUMN deleting word;

-- As before, and entries of an app that is being deleted go with its other rows.
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE'
        AND NOT EXISTS (SELECT 1 FROM apps WHERE slug = OLD.app AND deleting IS NULL)
    THEN
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
