//! Static embedding models: a few words, in every layout, and every way to damage them.

use std::fs;
use std::path::{Path, PathBuf};

use indices::{Embedder, Error, StaticEmbedder, StaticModelError, VectorStoreIndex};
use pollster::block_on;
use schema::Node;
use storage_context::StorageContext;

/// Words, of which the first stands for all that is unknown.
const TOKENIZER: &str = r#"{
    "version": "1.0", "added_tokens": [], "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
    "truncation": {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0},
    "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
        "pad_type_id": 0, "pad_token": "?"},
    "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "llama": 1, "maize": 2, "colca": 3}}
}"#;

/// The vectors of the words.
const ROWS: [f32; 8] = [9.0, 9.0, 1.0, 0.0, 0.0, 1.0, 3.0, 4.0];

/// A tensor: its name, type, shape and bytes.
type Tensor<'a> = (&'a str, &'a str, &'a [usize], Vec<u8>);

fn safetensors(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let (from, to) = (data.len(), data.len() + bytes.len());
        entries.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{to}]}}"#));
        data.extend_from_slice(bytes);
    }
    let mut header = format!("{{{}}}", entries.join(","));
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    file
}

fn f32s(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn plain() -> Vec<u8> {
    safetensors(&[("embeddings", "F32", &[4, 2], f32s(&ROWS))])
}

/// A folder of its own with these files.
fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny");
    for (name, bytes) in files {
        let file = path.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    (dir, path)
}

fn open(weights: &[u8]) -> Result<StaticEmbedder, StaticModelError> {
    let (_dir, path) = folder(&[("model.safetensors", weights), ("tokenizer.json", TOKENIZER.as_bytes())]);
    block_on(StaticEmbedder::open(path))
}

fn embed(embedder: &StaticEmbedder, text: &str) -> Vec<f64> {
    block_on(embedder.embed_text(text)).unwrap()
}

fn check(embedder: &StaticEmbedder, text: &str, expected: [f64; 2]) {
    let expected = expected.map(|x| f64::from(x as f32));
    assert_eq!(embed(embedder, text), expected, "{text:?}");
}

#[test]
fn a_text_is_the_mean_of_its_words() {
    let embedder = open(&plain()).unwrap();
    assert_eq!(embedder.dimensions(), Some(2));
    check(&embedder, "Llama", [1.0, 0.0]);
    check(&embedder, "llama maize", [0.5_f64.sqrt(), 0.5_f64.sqrt()]);
    check(&embedder, "colca", [0.6, 0.8]);
    // Unknown words do not count, and nothing is cut off or filled up.
    check(&embedder, "llama alpaca", [1.0, 0.0]);
    check(&embedder, &"colca ".repeat(10_000), [0.6, 0.8]);
    check(&embedder, "", [0.0, 0.0]);
    check(&embedder, "alpaca", [0.0, 0.0]);
}

#[test]
fn every_layout_is_read() {
    let half = |numbers: &[f32]| numbers.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
    let bf = |numbers: &[f32]| numbers.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
    let wide = |numbers: &[f32]| numbers.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect();
    let bytes = |numbers: &[f32]| numbers.iter().map(|x| *x as i8 as u8).collect();
    for (name, dtype, data) in [
        ("embedding.weight", "F16", half(&ROWS)),
        ("embeddings", "BF16", bf(&ROWS)),
        ("embeddings", "F64", wide(&ROWS)),
        ("embeddings", "I8", bytes(&ROWS)),
    ] {
        let embedder = open(&safetensors(&[(name, dtype, &[4, 2], data)])).unwrap();
        check(&embedder, "colca", [0.6, 0.8]);
        check(&embedder, "llama maize", [0.5_f64.sqrt(), 0.5_f64.sqrt()]);
    }
    // Words that share rows, and count differently.
    let mapping: Vec<u8> = [0_i64, 0, 1, 1].iter().flat_map(|row| row.to_le_bytes()).collect();
    let shared = safetensors(&[
        ("embeddings", "I8", &[2, 2], bytes(&[1.0, 0.0, 0.0, 1.0])),
        ("mapping", "I64", &[4], mapping),
        ("weights", "F32", &[4], f32s(&[1.0, 3.0, 4.0, 1.0])),
    ]);
    let embedder = open(&shared).unwrap();
    check(&embedder, "llama maize", [0.6, 0.8]);
    check(&embedder, "llama colca colca colca", [0.5_f64.sqrt(), 0.5_f64.sqrt()]);
}

#[test]
fn files_are_found_where_packages_have_them() {
    let (weights, tokenizer) = (plain(), TOKENIZER.as_bytes());
    let (_dir, path) = folder(&[
        ("weights/l2_2.safetensors", &weights),
        ("tokenizers/l2_tokenizer_config.json", tokenizer),
        ("config/x.toml", b""),
    ]);
    let embedder = block_on(StaticEmbedder::open(&path)).unwrap();
    check(&embedder, "colca", [0.6, 0.8]);
    assert!(embedder.model_name().starts_with("l2_2@"), "{embedder:?}");
    let files = (path.join("weights/l2_2.safetensors"), path.join("tokenizers/l2_tokenizer_config.json"));
    let same = block_on(StaticEmbedder::open_files(files.0, files.1)).unwrap();
    assert_eq!(same.model_name(), embedder.model_name());

    let (_dir, path) = folder(&[
        ("model.safetensors", &weights),
        ("other.safetensors", b""),
        ("tokenizer.json", tokenizer),
        ("tokenizer_config.json", b"{}"),
    ]);
    check(&block_on(StaticEmbedder::open(path)).unwrap(), "colca", [0.6, 0.8]);
}

#[test]
fn settings_say_whether_embeddings_have_length_1() {
    let files = |config: &'static [u8]| {
        let weights = plain();
        let (_dir, path) = folder(&[
            ("model.safetensors", &weights),
            ("tokenizer.json", TOKENIZER.as_bytes()),
            ("config.json", config),
        ]);
        block_on(StaticEmbedder::open(path))
    };
    check(&files(br#"{"normalize": false}"#).unwrap(), "colca llama", [2.0, 2.0]);
    check(&files(br#"{"normalize": true}"#).unwrap(), "colca", [0.6, 0.8]);
    check(&files(b"{}").unwrap(), "colca", [0.6, 0.8]);
    let error = files(b"{").unwrap_err().to_string();
    assert!(error.contains("tiny/config.json is no JSON file of settings: "), "{error}");
}

#[test]
fn another_model_of_the_same_name_is_noticed() {
    block_on(async {
        let mut other = ROWS;
        other[7] = 5.0;
        let (first, second) =
            (open(&plain()).unwrap(), open(&safetensors(&[("embeddings", "F32", &[4, 2], f32s(&other))])).unwrap());
        assert!(first.model_name().starts_with("static@") && second.model_name().starts_with("static@"));
        assert_ne!(first.model_name(), second.model_name());
        // The folder does not matter.
        assert_eq!(open(&plain()).unwrap().model_name(), first.model_name());
        let named = first.clone().with_name("words");
        assert_eq!(named.model_name(), first.model_name().replace("static", "words"));
        assert_eq!(named.with_name("words").model_name(), first.model_name().replace("static", "words"));

        let ctx = StorageContext::in_memory();
        let builder = VectorStoreIndex::builder(&ctx).embedder(first.clone());
        let index = builder.from_documents(vec![Node::document("llama")]).await.unwrap();
        assert!(index.verify_embedder().await.unwrap());
        let error = index.clone().with_embedder(second).insert(Node::document("colca")).await.unwrap_err();
        assert!(matches!(error, Error::OtherModel { .. }), "{error}");
    });
}

fn check_error(weights: &[u8], expected: &str) {
    let error = open(weights).unwrap_err().to_string();
    let (_, told) = error.split_once("tiny/").unwrap();
    let at = error.split_once(" in /").filter(|(at, _)| at.starts_with("the tensor")).map_or("", |(at, _)| at);
    assert_eq!(format!("{at}|{told}"), expected);
}

#[test]
fn errors_name_the_file_the_tensor_and_what_to_do() {
    let take = "; take a static embedding model (model2vec, wordllama)";
    let file = "model.safetensors";
    let rows = |tensors: &[Tensor<'_>]| safetensors(tensors);
    check_error(
        &rows(&[("x", "F32", &[1], f32s(&[1.0]))]),
        &format!("the tensor 'embeddings'|{file} is missing, and so is 'embedding.weight'; there are: x{take}"),
    );
    check_error(
        &rows(&[("embeddings", "F32", &[8], f32s(&ROWS))]),
        &format!("the tensor 'embeddings'|{file} has 1 dimensions instead of 2{take}"),
    );
    check_error(
        &rows(&[("embeddings", "F32", &[0, 2], vec![])]),
        &format!("the tensor 'embeddings'|{file} is empty{take}"),
    );
    check_error(
        &rows(&[("embeddings", "I16", &[2, 2], vec![0; 8])]),
        &format!("the tensor 'embeddings'|{file} is of the type I16, which is none of F16, BF16, F32, F64, I8{take}"),
    );
    check_error(
        &rows(&[("embeddings", "F32", &[1, 2], f32s(&[1.0, f32::NAN]))]),
        &format!("the tensor 'embeddings'|{file} has NaN as number 1{take}"),
    );
    let good = || ("embeddings", "F32", &[4, 2][..], f32s(&ROWS));
    let mapping = |rows: &[i32]| rows.iter().flat_map(|row| row.to_le_bytes()).collect::<Vec<u8>>();
    check_error(
        &rows(&[good(), ("mapping", "I32", &[2], mapping(&[0, 4]))]),
        &format!("the tensor 'mapping'|{file} names row 4, and there are 4{take}"),
    );
    check_error(
        &rows(&[good(), ("mapping", "I32", &[1], mapping(&[-1]))]),
        &format!("the tensor 'mapping'|{file} names row -1{take}"),
    );
    check_error(
        &rows(&[good(), ("mapping", "I32", &[1, 1], mapping(&[0]))]),
        &format!("the tensor 'mapping'|{file} has 2 dimensions instead of 1{take}"),
    );
    check_error(
        &rows(&[good(), ("weights", "F32", &[3], f32s(&[1.0; 3]))]),
        &format!("the tensor 'weights'|{file} has 3 numbers for 4 tokens{take}"),
    );
    let error = open(&rows(&[("embeddings", "F32", &[2, 2], f32s(&ROWS[..4]))])).unwrap_err().to_string();
    assert!(
        error.contains("tokenizer.json has a token 3 and ") && error.contains("model.safetensors has 2 tokens"),
        "{error}"
    );
    let error = open(b"").unwrap_err().to_string();
    assert!(error.contains("model.safetensors is no safetensors file: "), "{error}");

    let opened = |files: &[(&str, &[u8])]| {
        let (_dir, path) = folder(files);
        block_on(StaticEmbedder::open(path)).unwrap_err().to_string()
    };
    let error = opened(&[("a.safetensors", b""), ("b.safetensors", b""), ("tokenizer.json", b"")]);
    assert!(error.contains("a.safetensors, b.safetensors; name one with `open_files`"), "{error}");
    let error = opened(&[("readme.md", b"")]);
    assert!(error.starts_with("there is no safetensors file in "), "{error}");
    let error = opened(&[("model.safetensors", &plain())]);
    assert!(error.starts_with("there is no tokenizer's JSON file in "), "{error}");
    let error = opened(&[("model.safetensors", &plain()), ("tokenizer.json", b"[]")]);
    assert!(error.contains("tokenizer.json is no tokenizer's JSON file: "), "{error}");
    let error = block_on(StaticEmbedder::open_files("/", "/")).unwrap_err().to_string();
    assert_eq!(error, "'/' names no file; give the path of the file itself");
    let error = block_on(StaticEmbedder::open_files("gone.safetensors", "gone.json")).unwrap_err().to_string();
    assert!(error.starts_with("gone.safetensors not found in "), "{error}");
}

/// Opens damaged files and embeds with those that open.
fn try_damaged(path: &Path, file: &str, bytes: &[u8]) {
    fs::write(path.join(file), bytes).unwrap();
    if let Ok(embedder) = block_on(StaticEmbedder::open(path)) {
        // It may fail, too.
        let _ = block_on(embedder.embed_text("llama maize alpaca"));
    }
}

#[test]
fn damaged_files_are_errors() {
    let (weights, tokenizer) = (plain(), TOKENIZER.as_bytes());
    let (_dir, path) = folder(&[("model.safetensors", &weights), ("tokenizer.json", tokenizer)]);
    for (file, whole, step) in [("model.safetensors", &weights[..], 1), ("tokenizer.json", tokenizer, 5)] {
        for at in (0..whole.len()).step_by(step) {
            fs::write(path.join(file), &whole[..at]).unwrap();
            let opened = block_on(StaticEmbedder::open(&path));
            assert!(matches!(&opened, Err(e) if e.to_string().contains(file)), "{file} cut off at {at}: {opened:?}");
            for byte in [whole[at] ^ 1, whole[at] ^ 0x80, b'9'] {
                let mut damaged = whole.to_vec();
                damaged[at] = byte;
                try_damaged(&path, file, &damaged);
            }
        }
        fs::write(path.join(file), whole).unwrap();
    }
}
