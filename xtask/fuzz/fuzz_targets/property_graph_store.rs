#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| colca_fuzz::property_graph_store(data));
