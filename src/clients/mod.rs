//! The two vendors' APIs, as their contracts say they are.
