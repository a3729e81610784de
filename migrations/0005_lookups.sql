-- In the order in which they are asked for: a database that has to choose between finding and sorting may choose wrongly, and
-- then reads every customer of the location.
DROP INDEX customers_by_email;
DROP INDEX customers_by_phone;
DROP INDEX activities_by_contact;
CREATE INDEX customers_by_email ON customers (location_id, email_key, customer_id) WHERE email_key IS NOT NULL;
CREATE INDEX customers_by_phone ON customers (location_id, phone_key, customer_id) WHERE phone_key IS NOT NULL;
CREATE INDEX activities_by_contact ON activities (location_id, contact_id, facet, object_id);
