//! Every target is this file: which body it feeds is said by its own name.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| openchat_fuzz::run(env!("CARGO_BIN_NAME"), data));
