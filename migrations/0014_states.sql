-- What a location's state is derived from, where only the process that works it would know it.

-- What keeps a location from working with a vendor: one row from the first failure that says so to the next call that works.
CREATE TABLE troubles (
    location_id TEXT   NOT NULL REFERENCES connections (location_id),
    vendor      TEXT   NOT NULL CHECK (vendor IN ('ghl', 'trafft')),
    kind        TEXT   NOT NULL CHECK (kind IN ('down', 'refused', 'lost')),
    since       BIGINT NOT NULL,
    found       TEXT   NOT NULL, -- what came back, in our own words
    fix         TEXT   NOT NULL, -- what to do
    PRIMARY KEY (location_id, vendor)
);

ALTER TABLE connections ADD COLUMN paused_at BIGINT;       -- null: not paused, or before this column was there
ALTER TABLE connections ADD COLUMN other_app TEXT;         -- `GHL_APP_ID` when another app's event was last refused because of it
ALTER TABLE connections ADD COLUMN other_app_since BIGINT; -- when the first of them came
ALTER TABLE connections ADD COLUMN other_app_at BIGINT;    -- when the last of them came, within ten minutes
ALTER TABLE installs ADD COLUMN lost_at BIGINT;            -- when its tokens were lost; counts while the status is `lost`

-- What is wrong is told by the states; nobody writes this column any more.
UPDATE installs SET reason = NULL;
