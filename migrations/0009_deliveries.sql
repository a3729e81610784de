-- How HighLevel's deliveries are answered.

-- Marketplace apps (`GHL_APP_ID`) of which a signed event was seen.
CREATE TABLE apps (
    app_id  TEXT   PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- The age of an event decides nothing any more. The contacts of these were read again when they came.
UPDATE events SET status = 'ignored', reason = 'it was older than FRESHNESS_SECONDS when it came; its contact was read again'
    WHERE status = 'stale';
