#![no_main]

#[path = "../../tests/answers/mod.rs"]
mod answers;
#[path = "../../tests/always/event.rs"]
mod event;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| event::holds(bytes));
