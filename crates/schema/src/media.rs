use raw_json::{Object, PyString};

/// A piece of media: text, or the place of an image, audio or video. Nothing here is ever opened or fetched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MediaResource {
    /// Embeddings of the resource by kind, `dense` or `sparse`, as JSON.
    pub embeddings: Option<Object>,
    /// The content itself, in base64. LlamaIndex reads it but never writes it; here it is written, so it is not lost.
    pub data: Option<PyString>,
    /// The text.
    pub text: Option<PyString>,
    /// The path.
    pub path: Option<PyString>,
    /// The URL.
    pub url: Option<PyString>,
    /// The media type.
    pub mimetype: Option<PyString>,
    /// Fields that this crate does not know.
    pub extra: Object,
}

impl MediaResource {
    /// A text.
    pub fn text(text: impl Into<PyString>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// As LlamaIndex does on reading: without a media type, the one that the path's extension tells.
    pub(crate) fn with_guessed_mimetype(mut self) -> Self {
        if self.mimetype.is_none() {
            self.mimetype = self.path.as_ref().and_then(guess_mimetype);
        }
        self
    }
}

/// The media type that a path's extension tells, for the extensions that LlamaIndex knows (images, audio, video,
/// archives, fonts and office documents; no plain text).
pub fn guess_mimetype(path: &PyString) -> Option<PyString> {
    let path = path.to_str()?;
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    if stem.is_empty() || extension.is_empty() {
        return None;
    }
    let (_, mimetype) = MIMETYPES.iter().find(|(known, _)| *known == extension)?;
    Some((*mimetype).into())
}

/// The extensions of the Python package `filetype` 1.2.
#[rustfmt::skip]
const MIMETYPES: &[(&str, &str)] = &[
    ("3gp", "video/3gpp"), ("7z", "application/x-7z-compressed"), ("Z", "application/x-compress"),
    ("aac", "audio/aac"), ("aiff", "audio/x-aiff"), ("amr", "audio/amr"), ("apng", "image/apng"),
    ("ar", "application/x-unix-archive"), ("avi", "video/x-msvideo"), ("avif", "image/avif"), ("bmp", "image/bmp"),
    ("br", "application/x-brotli"), ("bz2", "application/x-bzip2"), ("cab", "application/vnd.ms-cab-compressed"),
    ("cr2", "image/x-canon-cr2"), ("crx", "application/x-google-chrome-extension"), ("dcm", "application/dicom"),
    ("deb", "application/x-deb"), ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"), ("dwg", "image/vnd.dwg"),
    ("elf", "application/x-executable"), ("eot", "application/octet-stream"), ("epub", "application/epub+zip"),
    ("exe", "application/x-msdownload"), ("flac", "audio/x-flac"), ("flv", "video/x-flv"), ("gif", "image/gif"),
    ("gz", "application/gzip"), ("heic", "image/heic"), ("ico", "image/x-icon"), ("jpg", "image/jpeg"),
    ("jpx", "image/jpx"), ("jxr", "image/vnd.ms-photo"), ("lz", "application/x-lzip"), ("lz4", "application/x-lz4"),
    ("lzo", "application/x-lzop"), ("m4a", "audio/mp4"), ("m4v", "video/x-m4v"), ("midi", "audio/midi"),
    ("mkv", "video/x-matroska"), ("mov", "video/quicktime"), ("mp3", "audio/mpeg"), ("mp4", "video/mp4"),
    ("mpg", "video/mpeg"), ("nes", "application/x-nintendo-nes-rom"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"), ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"), ("otf", "application/font-sfnt"), ("pdf", "application/pdf"), ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ps", "application/postscript"), ("psd", "image/vnd.adobe.photoshop"), ("rar", "application/x-rar-compressed"),
    ("rpm", "application/x-rpm"), ("rtf", "application/rtf"), ("sqlite", "application/x-sqlite3"),
    ("swf", "application/x-shockwave-flash"), ("tar", "application/x-tar"), ("tif", "image/tiff"),
    ("ttf", "application/font-sfnt"), ("wasm", "application/wasm"), ("wav", "audio/x-wav"), ("webm", "video/webm"),
    ("webp", "image/webp"), ("wmv", "video/x-ms-wmv"), ("woff", "application/font-woff"),
    ("woff2", "application/font-woff"), ("xcf", "image/x-xcf"), ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), ("xz", "application/x-xz"),
    ("zip", "application/zip"), ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_extensions_tell_a_type() {
        let guess = |path: &str| guess_mimetype(&path.into()).map(|m| m.to_string());
        assert_eq!(guess("a/b.png").as_deref(), Some("image/png"));
        assert_eq!(guess("v.mp4").as_deref(), Some("video/mp4"));
        assert_eq!(guess("a.b/c"), None);
        assert_eq!(guess("notes.txt"), None);
        assert_eq!(guess(".png"), None);
        assert_eq!(guess("x.PNG"), None);
        assert_eq!(guess(""), None);
    }
}
