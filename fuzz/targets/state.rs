#![no_main]

#[path = "../../tests/always/state.rs"]
mod state;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| state::holds(bytes));
