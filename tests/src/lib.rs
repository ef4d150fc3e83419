//! Nothing is exported: this crate holds the tests that run the whole product, in `it/`.
