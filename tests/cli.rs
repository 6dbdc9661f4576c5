//! The program `sam`, run against the bridge for tests.
