#![no_main]

#[path = "../../tests/limits/mod.rs"]
mod limits;
#[path = "../../tests/always/notice.rs"]
mod notice;
#[path = "../../tests/read_back/mod.rs"]
mod read_back;
#[path = "../../tests/situations/mod.rs"]
#[allow(dead_code, reason = "some of it is for tests alone")]
mod situations;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| notice::holds(bytes));
