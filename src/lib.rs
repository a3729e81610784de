//! Keeps Trafft customers equal to their GoHighLevel contacts.
