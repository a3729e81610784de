-- Ignored events keep no body: it may be about a person, and no erasure finds it.
UPDATE events SET body = '' WHERE status = 'ignored' AND body <> '';

-- By which rules every contact of the location was last projected: a digest. With others each is projected anew.
ALTER TABLE connections ADD COLUMN projection TEXT;
