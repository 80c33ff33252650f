#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| colca_fuzz::node(data));
