-- Several processes on one database, and what no webhook tells.

-- Processes that work with this database. Heartbeats are the database's own time, never a host's.
CREATE TABLE processes (
    id           TEXT   PRIMARY KEY,
    heartbeat_at BIGINT NOT NULL
);

ALTER TABLE contacts ADD COLUMN updated_at BIGINT; -- GHL's dateUpdated as last read
ALTER TABLE contacts ADD COLUMN rotated_at BIGINT; -- when its other facets were last asked for without any event
ALTER TABLE contacts ADD COLUMN met_at BIGINT;     -- when the id sweep last met it in GHL
ALTER TABLE contacts ADD COLUMN drifted BIGINT NOT NULL DEFAULT 0; -- Trafft was seen to differ from what we wrote
CREATE INDEX contacts_by_lane ON contacts (location_id, lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX contacts_by_rotation ON contacts (location_id, rotated_at) WHERE gone_at IS NULL;
CREATE INDEX contacts_by_status ON contacts (status, location_id);
CREATE INDEX events_by_age ON events (received_at);
CREATE INDEX writes_by_age ON writes (at);

-- One row a location and kind of sweep: where it is, and how the last one went.
CREATE TABLE sweeps (
    location_id TEXT   NOT NULL REFERENCES connections (location_id),
    kind        TEXT   NOT NULL,
    due_at      BIGINT,           -- null: not until somebody asks for it
    cursor      TEXT,             -- where it goes on; null: not under way
    since       BIGINT,           -- what changed before this is known to be seen
    started_at  BIGINT,
    finished_at BIGINT,
    seen        BIGINT NOT NULL DEFAULT 0,
    found       BIGINT NOT NULL DEFAULT 0,
    total       BIGINT,
    calls       BIGINT NOT NULL DEFAULT 0,
    reason      TEXT,             -- what stopped it last
    PRIMARY KEY (location_id, kind)
);

-- What a sweep found that no event had told.
CREATE TABLE findings (
    id          TEXT   PRIMARY KEY,
    location_id TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    contact_id  TEXT   NOT NULL,
    what        TEXT   NOT NULL,
    at          BIGINT NOT NULL
);
CREATE INDEX findings_by_sweep ON findings (location_id, kind, at);
CREATE INDEX findings_by_age ON findings (at);
