//! A GoHighLevel and a Trafft to run locally.
