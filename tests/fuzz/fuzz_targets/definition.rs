//! Arbitrary bytes as a definition: an error at worst.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::definition(bytes));
