-- One text for SQLite and PostgreSQL: TEXT, BIGINT (times are Unix milliseconds, flags 0 or 1), CHECK, partial indexes.

-- One GHL location paired with one Trafft account; an account belongs to exactly one connection.
CREATE TABLE connections (
    location_id          TEXT   PRIMARY KEY,
    trafft_account       TEXT   NOT NULL UNIQUE,
    owner                TEXT,
    epoch                BIGINT NOT NULL DEFAULT 0,
    customers_seen       BIGINT, -- every customer up to this id is in the index; null until the first full pass ended
    created_at           BIGINT NOT NULL
);

-- What arrived, as received. A null delivery key never collides: without an id two equal bodies can be two events.
CREATE TABLE events (
    id           TEXT   PRIMARY KEY,
    location_id  TEXT   NOT NULL,
    delivery_key TEXT,
    source       TEXT   NOT NULL CHECK (source IN ('marketplace', 'workflow', 'operator')),
    type         TEXT   NOT NULL,
    contact_id   TEXT,
    object_id    TEXT,
    facets       BIGINT NOT NULL,
    sequence     BIGINT,
    sent_at      BIGINT,
    received_at  BIGINT NOT NULL,
    body         TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    reason       TEXT,
    customer_id  BIGINT,
    ghl_calls    BIGINT,
    trafft_calls BIGINT,
    settled_at   BIGINT,
    attempt      BIGINT NOT NULL DEFAULT 0,
    due_at       BIGINT
);
CREATE UNIQUE INDEX events_by_delivery ON events (location_id, delivery_key);
CREATE INDEX events_by_contact ON events (location_id, contact_id, sequence);
CREATE INDEX events_unresolved ON events (location_id, due_at) WHERE due_at IS NOT NULL;

-- One row a contact. A facet is dirty while wanted > read; the contact is worked when due_at has come.
CREATE TABLE contacts (
    location_id         TEXT   NOT NULL REFERENCES connections (location_id),
    contact_id          TEXT   NOT NULL,
    sequence            BIGINT NOT NULL,
    contact_wanted      BIGINT NOT NULL,
    tasks_wanted        BIGINT NOT NULL,
    notes_wanted        BIGINT NOT NULL,
    appointments_wanted BIGINT NOT NULL,
    contact_read        BIGINT NOT NULL DEFAULT 0,
    tasks_read          BIGINT NOT NULL DEFAULT 0,
    notes_read          BIGINT NOT NULL DEFAULT 0,
    appointments_read   BIGINT NOT NULL DEFAULT 0,
    lane                BIGINT NOT NULL,
    due_at              BIGINT,
    attempt             BIGINT NOT NULL DEFAULT 0,
    status              TEXT   NOT NULL,
    reason              TEXT,
    marked_at           BIGINT NOT NULL,
    settled_at          BIGINT,
    customer_id         BIGINT,
    created_by_us       BIGINT NOT NULL DEFAULT 0,
    decision            TEXT   CHECK (decision IN ('linked', 'create', 'unlinked')),
    conflict_customer   BIGINT,
    intent_id           TEXT,
    intent_customer     TEXT,
    intent_newest       BIGINT,
    intent_at           BIGINT,
    fingerprint         TEXT,
    fields              TEXT,
    missing_since       BIGINT,
    gone_at             BIGINT,
    PRIMARY KEY (location_id, contact_id)
);
-- Two contacts can never hold one customer, whatever else goes wrong.
CREATE UNIQUE INDEX contacts_by_customer ON contacts (location_id, customer_id);
CREATE INDEX contacts_due ON contacts (location_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX contacts_in_conflict ON contacts (location_id, conflict_customer) WHERE conflict_customer IS NOT NULL;

-- Tasks, notes and appointments as last read: the mirror and the timeline.
CREATE TABLE activities (
    location_id TEXT   NOT NULL,
    facet       TEXT   NOT NULL CHECK (facet IN ('tasks', 'notes', 'appointments')),
    object_id   TEXT   NOT NULL,
    contact_id  TEXT   NOT NULL,
    object      TEXT   NOT NULL,
    at          BIGINT,
    first_seen  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    gone_at     BIGINT,
    PRIMARY KEY (location_id, facet, object_id)
);
CREATE INDEX activities_by_contact ON activities (location_id, contact_id);

-- The index of Trafft's customers, since Trafft has no search.
CREATE TABLE customers (
    location_id  TEXT   NOT NULL REFERENCES connections (location_id),
    customer_id  BIGINT NOT NULL,
    first_name   TEXT   NOT NULL,
    last_name    TEXT   NOT NULL,
    email        TEXT   NOT NULL,
    phone_number TEXT   NOT NULL,
    email_key    TEXT,
    phone_key    TEXT,
    seen_at      BIGINT NOT NULL,
    PRIMARY KEY (location_id, customer_id)
);
CREATE INDEX customers_by_email ON customers (location_id, email_key) WHERE email_key IS NOT NULL;
CREATE INDEX customers_by_phone ON customers (location_id, phone_key) WHERE phone_key IS NOT NULL;

-- Every call that changed Trafft, or may have.
CREATE TABLE writes (
    id          TEXT   PRIMARY KEY,
    location_id TEXT   NOT NULL,
    contact_id  TEXT   NOT NULL,
    customer_id BIGINT,
    action      TEXT   NOT NULL CHECK (action IN ('create', 'update', 'delete')),
    sequence    BIGINT NOT NULL,
    fields      TEXT   NOT NULL,
    result      TEXT   NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX writes_by_contact ON writes (location_id, contact_id);
