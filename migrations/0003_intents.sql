-- Creates without an answer: few at any time, and asked for before every create.
CREATE INDEX contacts_with_intent ON contacts (location_id, intent_at) WHERE intent_id IS NOT NULL;
