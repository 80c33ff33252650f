//! The hashes of nodes, by the rules of LlamaIndex 0.14.

use std::borrow::Cow;

use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use raw_json::{PyString, Value, py_repr};
use sha2::{Digest, Sha256};

use crate::{Error, ImageContent, MediaContent, MediaResource, MetadataMode, Node, NodeContent, Result};

impl Node {
    /// The hash by which LlamaIndex tells that a node has changed: 64 hexadecimal digits of SHA-256.
    ///
    /// Texts and index nodes hash their text and Python's `repr` of the metadata; image nodes image, path, URL and
    /// text; documents and multimodal nodes their metadata as text and a hash of each resource.
    ///
    /// # Errors
    /// For documents and multimodal nodes: [`Error::Template`], and [`Error::LoneSurrogate`] where Python
    /// fails to encode.
    pub fn hash(&self) -> Result<String> {
        match &self.content {
            NodeContent::Text(text) | NodeContent::Index(text, _) => {
                let repr = py_repr(&Value::Object(self.metadata.clone()));
                Ok(hex([text.text.as_bytes(), repr.as_bytes()]))
            }
            NodeContent::Image(text, image) => Ok(image.hash(&text.text)),
            NodeContent::Document(media) | NodeContent::ImageDocument(media) | NodeContent::Multimodal(media) => {
                self.media_hash(media)
            }
        }
    }

    fn media_hash(&self, media: &MediaContent) -> Result<String> {
        let mut parts = Vec::new();
        let metadata = self.get_metadata_str(MetadataMode::All)?;
        if !metadata.is_empty() {
            parts.push(metadata.as_bytes().to_vec());
        }
        for resource in [&media.audio_resource, &media.image_resource, &media.text_resource, &media.video_resource]
            .into_iter()
            .flatten()
        {
            let hash = resource.hash().map_err(|what| Error::LoneSurrogate { id: self.id.clone(), what })?;
            parts.push(hash.into_bytes());
        }
        Ok(hex([parts.join(&b'-').as_slice()]))
    }
}

impl ImageContent {
    fn hash(&self, text: &PyString) -> String {
        let or_none = |part: Option<&PyString>| match part {
            Some(part) if !part.is_empty() => part.as_bytes().to_vec(),
            _ => b"None".to_vec(),
        };
        let parts = [self.image.as_ref(), self.image_path.as_ref(), self.image_url.as_ref(), Some(text)].map(or_none);
        hex([parts.join(&b'-').as_slice()])
    }
}

impl MediaResource {
    /// The resource's own hash; empty if there is nothing in it. The error names what has lone surrogates.
    fn hash(&self) -> Result<String, &'static str> {
        let mut bits = String::new();
        match self.text.as_ref().map(|text| text.to_str().ok_or("its text")).transpose()? {
            Some("") => bits.push_str("<empty_string>"),
            Some(text) => bits.push_str(text),
            None => {}
        }
        if let Some(data) = &self.data {
            bits.push_str(&hex([as_base64(data.as_bytes()).as_bytes()]));
        }
        if let Some(path) = &self.path {
            bits.push_str(&hex([normal_path(path.to_str().ok_or("its path")?).as_bytes()]));
        }
        if let Some(url) = &self.url {
            bits.push_str(&hex([url.to_str().ok_or("its URL")?.as_bytes()]));
        }
        let nothing = self.text.is_none() && self.data.is_none() && self.path.is_none() && self.url.is_none();
        Ok(if nothing { bits } else { hex([bits.as_bytes()]) })
    }
}

/// Data as Python holds it: what is no base64 is taken for the data itself.
fn as_base64(data: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(data) {
        Ok(text) if LENIENT.decode(text).is_ok() => Cow::Borrowed(text),
        _ => Cow::Owned(LENIENT.encode(data)),
    }
}

/// Standard base64; as in Python, what the last character says too much does not matter.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A path as Python's `pathlib` spells it: no empty and no `.` components, two slashes at the start or one.
fn normal_path(path: &str) -> String {
    let root = match path.bytes().take_while(|&b| b == b'/').count() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match (root, parts.is_empty()) {
        ("", true) => ".".to_owned(),
        _ => format!("{root}{}", parts.join("/")),
    }
}

/// SHA-256 of the parts in a row, in hexadecimal.
fn hex<const N: usize>(parts: [&[u8]; N]) -> String {
    let mut hasher = Sha256::new();
    parts.into_iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_specification() {
        assert_eq!(Node::text("hello").hash().unwrap(), hex([b"hello{}"]));
        let document = Node::document("x").with_metadata("a", 1).with_metadata("b", Value::Null);
        let expected = format!("a: 1\nb: None-{}", hex([b"x"]));
        assert_eq!(document.hash().unwrap(), hex([expected.as_bytes()]));
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Node::document("").hash().unwrap(), nothing);
        assert_eq!(Node::image("", ImageContent::default()).hash().unwrap(), hex([b"None-None-None-None"]));
    }

    #[test]
    fn resources_are_hashed_as_python_holds_them() {
        let path = |path: &str| MediaResource { path: Some(path.into()), ..MediaResource::default() }.hash().unwrap();
        assert_eq!(path("./data//img.png"), path("data/img.png"));
        assert_eq!(path("a/"), path("a"));
        assert_eq!(path(""), path("."));
        assert_eq!(path("///a"), path("/a"));
        assert_ne!(path("//a"), path("/a"));
        let data = |data: &str| MediaResource { data: Some(data.into()), ..MediaResource::default() }.hash().unwrap();
        assert_eq!(data("aGVsbG8"), data("YUdWc2JHOA=="));
        assert_eq!(data("xx!"), data("eHgh"));
        assert_ne!(data("aGVsbG8="), data("YUdWc2JHOD0="));
    }

    #[test]
    fn lone_surrogates_are_hashed_in_text_nodes_and_refused_in_documents() {
        let lone = PyString::from_code_points([0xD83D]);
        assert_eq!(Node::text(&lone).hash().unwrap(), hex([b"\xED\xA0\xBD{}"]));
        assert!(matches!(Node::document(&lone).hash(), Err(Error::LoneSurrogate { .. })));
    }
}
