//! Arbitrary bytes as an expression: an error at worst.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::expression(bytes));
