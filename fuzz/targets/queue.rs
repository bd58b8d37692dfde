#![no_main]

#[path = "../../tests/answers/mod.rs"]
mod answers;
#[path = "../../tests/always/queue.rs"]
mod queue;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| queue::holds(bytes));
