//! Arbitrary bytes as a record of the journal: an error at worst.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entry::record(bytes));
