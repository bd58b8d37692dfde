#![no_main]

#[path = "../../tests/meaning/mod.rs"]
mod meaning;
#[path = "../../tests/always/policy.rs"]
mod policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| policy::holds(bytes));
