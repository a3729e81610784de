-- Queued, synced and unchanged change with every event, at a random place of this index: each change costs a page of the log. They are
-- listed by the primary key instead. The expression is that of `rare!` in src/store/contacts.rs.
DROP INDEX contacts_by_status;
CREATE INDEX contacts_by_status ON contacts (status, location_id, contact_id)
    WHERE status NOT IN ('queued', 'synced', 'unchanged');
-- To count them. Those that are new stand beside each other here.
CREATE INDEX contacts_queued ON contacts (location_id) WHERE status = 'queued';
