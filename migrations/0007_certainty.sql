-- What is certain about a contact and its customer, and what was only said once.

ALTER TABLE contacts ADD COLUMN deletion_told_at BIGINT;       -- when an event said that GHL deleted the contact
ALTER TABLE contacts ADD COLUMN customer_missing_since BIGINT; -- since when Trafft says that its customer is not there
ALTER TABLE contacts ADD COLUMN lost_customer BIGINT;          -- the customer that Trafft lost; linked again when it is seen again
ALTER TABLE contacts ADD COLUMN lost_ours BIGINT NOT NULL DEFAULT 0; -- did our own POST make that customer?
ALTER TABLE contacts ADD COLUMN agreed TEXT;                   -- JSON: the four fields as we last sent them, and as Trafft shows them
ALTER TABLE contacts ADD COLUMN retry_at BIGINT;               -- when the next try is scheduled; an earlier look spends no attempt
ALTER TABLE contacts ADD COLUMN waits_for TEXT CHECK (waits_for IN ('ghl', 'trafft')); -- due at once when this vendor works again
CREATE INDEX contacts_missing ON contacts (location_id, missing_since) WHERE missing_since IS NOT NULL;
CREATE INDEX contacts_gone ON contacts (location_id, gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX contacts_waiting ON contacts (location_id, waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX contacts_lost ON contacts (location_id, lost_customer) WHERE lost_customer IS NOT NULL;

-- The brake on deletions: since when they are held, and when a person or an id sweep last said that they are right.
ALTER TABLE connections ADD COLUMN deletions_held_at BIGINT;
ALTER TABLE connections ADD COLUMN deletions_confirmed_at BIGINT;
