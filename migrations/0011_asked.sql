-- When a process asked for a new pair of tokens, and in the place of which generation: stored before asking. While that generation is
-- still the newest, no answer to it was stored: the process was killed, or the answer was lost.
ALTER TABLE installs ADD COLUMN asked_at BIGINT;         -- the database's own time
ALTER TABLE installs ADD COLUMN asked_generation BIGINT; -- null: answered, or never asked
