-- What the phone keys of a location's customers were made by: the version of the rule, and the home region that numbers without
-- `+` were read with. Null: an older rule. With another one they are made anew before they are asked for.
ALTER TABLE connections ADD COLUMN phone_keys TEXT;
