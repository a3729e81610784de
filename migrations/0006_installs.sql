-- Installed like an app: what HighLevel lets us into, and what Trafft lets us into. Secrets are sealed under `ENCRYPTION_KEY`.

-- One row a location or agency (company) in which the app is installed, or that a private token was given for.
CREATE TABLE installs (
    kind           TEXT   NOT NULL CHECK (kind IN ('location', 'company')),
    id             TEXT   NOT NULL,
    company_id     TEXT,             -- of a location: the agency, where known
    name           TEXT,
    status         TEXT   NOT NULL CHECK (status IN ('active', 'lost', 'uninstalled')),
    reason         TEXT,             -- what is wrong, and what to do
    scopes         TEXT,             -- null: nobody knows, as with private tokens
    own            BIGINT NOT NULL DEFAULT 0, -- of a location: authorised by itself, not only through its agency
    tokens         TEXT,             -- sealed; null: none yet, or dropped
    expires_at     BIGINT,           -- of the access token; null: it does not expire, or there is none
    generation     BIGINT NOT NULL DEFAULT 0, -- raised by every new pair of tokens
    renewer        TEXT,             -- the process that asks for a new pair just now
    renewing_until BIGINT,           -- the database's own time
    installed_at   BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX installs_by_company ON installs (company_id) WHERE company_id IS NOT NULL;

ALTER TABLE connections ADD COLUMN paused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN trafft TEXT;  -- sealed credentials; null: the settings have them
ALTER TABLE connections ADD COLUMN options TEXT; -- JSON: where this connection differs from the settings
ALTER TABLE connections ADD COLUMN revision BIGINT NOT NULL DEFAULT 0; -- raised by every change that its owner has to know

-- Released when their location is connected.
CREATE INDEX events_parked ON events (location_id) WHERE status = 'parked';
