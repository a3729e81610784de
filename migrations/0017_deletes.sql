-- The brake on deletions counts the DELETEs of the last hour: few rows, among all writes of a year.
CREATE INDEX writes_of_deletes ON writes (location_id, at) WHERE action = 'delete';
