//! The true service against the sandbox.
