-- Two contacts can have a task, note or appointment of one id, as when it moves from one to the other: each has a row of its own.
CREATE TABLE mirror (
    location_id TEXT   NOT NULL,
    contact_id  TEXT   NOT NULL,
    facet       TEXT   NOT NULL CHECK (facet IN ('tasks', 'notes', 'appointments')),
    object_id   TEXT   NOT NULL,
    object      TEXT   NOT NULL,
    at          BIGINT,
    first_seen  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    gone_at     BIGINT,
    PRIMARY KEY (location_id, contact_id, facet, object_id)
);
INSERT INTO mirror (location_id, contact_id, facet, object_id, object, at, first_seen, changed_at, gone_at)
    SELECT location_id, contact_id, facet, object_id, object, at, first_seen, changed_at, gone_at FROM activities;
DROP TABLE activities;
ALTER TABLE mirror RENAME TO activities;
CREATE INDEX activities_by_object ON activities (location_id, facet, object_id);

-- Lists of contacts are read in this order.
DROP INDEX contacts_by_status;
CREATE INDEX contacts_by_status ON contacts (status, location_id, contact_id);
