-- How HighLevel's deliveries are answered, and whether they still come.

-- First deliveries of signed webhooks, one row an hour; all processes add to it.
CREATE TABLE deliveries (
    hour     BIGINT PRIMARY KEY, -- its beginning
    accepted BIGINT NOT NULL,    -- answered 2xx
    refused  BIGINT NOT NULL     -- answered otherwise, whatever became of the repeats
);

-- Changes that sweeps found and no event told, since the last event of the location.
ALTER TABLE connections ADD COLUMN silent_since BIGINT;     -- when that event came; null: nothing was found since
ALTER TABLE connections ADD COLUMN untold BIGINT NOT NULL DEFAULT 0; -- how many changes
ALTER TABLE connections ADD COLUMN untold_since BIGINT;     -- when the first of them was found
ALTER TABLE connections ADD COLUMN events_paused_at BIGINT; -- when that was taken for a pause; null: it is not
