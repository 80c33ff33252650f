//! Media types of files, by their names.

use std::path::Path;

/// The media type that a file's name tells, by Python 3.11's own table; `None` for names that tell none.
pub(super) fn of(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy();
    let (stem, mut extension) = split(&name);
    if let Some((_, inner)) = ARCHIVES.iter().find(|(archive, _)| extension.eq_ignore_ascii_case(archive)) {
        extension = inner;
    } else if COMPRESSED.contains(&extension) {
        extension = split(stem).1;
    }
    let extension = extension.to_lowercase();
    let known = |(_, extensions): &&(&str, &str)| extensions.split(' ').any(|known| known == extension);
    TYPES.iter().find(known).map(|(media_type, _)| *media_type)
}

/// A name and its last extension without the dot. Dots in front are none.
fn split(name: &str) -> (&str, &str) {
    let dots = name.len() - name.trim_start_matches('.').len();
    match name[dots..].rfind('.') {
        Some(dot) => (&name[..dots + dot], &name[dots + dot + 1..]),
        None => (name, ""),
    }
}

/// Extensions of what is compressed. These alone are told apart by case.
const COMPRESSED: &[&str] = &["gz", "Z", "bz2", "xz", "br"];

/// Extensions that stand for two: what is compressed.
const ARCHIVES: &[(&str, &str)] =
    &[("svgz", "svg"), ("tgz", "tar"), ("taz", "tar"), ("tz", "tar"), ("tbz2", "tar"), ("txz", "tar")];

/// Media types and their extensions.
#[rustfmt::skip]
const TYPES: &[(&str, &str)] = &[
    ("application/javascript", "js mjs"),
    ("application/json", "json"),
    ("application/manifest+json", "webmanifest"),
    ("application/msword", "doc dot wiz"),
    ("application/n-quads", "nq"),
    ("application/n-triples", "nt"),
    ("application/octet-stream", "bin a dll exe o obj so"),
    ("application/oda", "oda"),
    ("application/pdf", "pdf"),
    ("application/pkcs7-mime", "p7c"),
    ("application/postscript", "ps ai eps"),
    ("application/trig", "trig"),
    ("application/vnd.apple.mpegurl", "m3u m3u8"),
    ("application/vnd.ms-excel", "xls xlb"),
    ("application/vnd.ms-powerpoint", "ppt pot ppa pps pwz"),
    ("application/wasm", "wasm"),
    ("application/x-bcpio", "bcpio"),
    ("application/x-cpio", "cpio"),
    ("application/x-csh", "csh"),
    ("application/x-dvi", "dvi"),
    ("application/x-gtar", "gtar"),
    ("application/x-hdf", "hdf"),
    ("application/x-hdf5", "h5"),
    ("application/x-latex", "latex"),
    ("application/x-mif", "mif"),
    ("application/x-netcdf", "cdf nc"),
    ("application/x-pkcs12", "p12 pfx"),
    ("application/x-pn-realaudio", "ram"),
    ("application/x-python-code", "pyc pyo"),
    ("application/x-sh", "sh"),
    ("application/x-shar", "shar"),
    ("application/x-shockwave-flash", "swf"),
    ("application/x-sv4cpio", "sv4cpio"),
    ("application/x-sv4crc", "sv4crc"),
    ("application/x-tar", "tar"),
    ("application/x-tcl", "tcl"),
    ("application/x-tex", "tex"),
    ("application/x-texinfo", "texi texinfo"),
    ("application/x-troff", "roff t tr"),
    ("application/x-troff-man", "man"),
    ("application/x-troff-me", "me"),
    ("application/x-troff-ms", "ms"),
    ("application/x-ustar", "ustar"),
    ("application/x-wais-source", "src"),
    ("application/xml", "xsl rdf wsdl xpdl"),
    ("application/zip", "zip"),
    ("audio/3gpp", "3gp 3gpp"),
    ("audio/3gpp2", "3g2 3gpp2"),
    ("audio/aac", "aac adts loas ass"),
    ("audio/basic", "au snd"),
    ("audio/mpeg", "mp3 mp2"),
    ("audio/opus", "opus"),
    ("audio/x-aiff", "aif aifc aiff"),
    ("audio/x-pn-realaudio", "ra"),
    ("audio/x-wav", "wav"),
    ("image/avif", "avif"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/heic", "heic"),
    ("image/heif", "heif"),
    ("image/ief", "ief"),
    ("image/jpeg", "jpg jpe jpeg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tiff tif"),
    ("image/vnd.microsoft.icon", "ico"),
    ("image/x-cmu-raster", "ras"),
    ("image/x-portable-anymap", "pnm"),
    ("image/x-portable-bitmap", "pbm"),
    ("image/x-portable-graymap", "pgm"),
    ("image/x-portable-pixmap", "ppm"),
    ("image/x-rgb", "rgb"),
    ("image/x-xbitmap", "xbm"),
    ("image/x-xpixmap", "xpm"),
    ("image/x-xwindowdump", "xwd"),
    ("message/rfc822", "eml mht mhtml nws"),
    ("text/css", "css"),
    ("text/csv", "csv"),
    ("text/html", "html htm"),
    ("text/n3", "n3"),
    ("text/plain", "txt bat c h ksh pl srt"),
    ("text/richtext", "rtx"),
    ("text/tab-separated-values", "tsv"),
    ("text/vtt", "vtt"),
    ("text/x-python", "py"),
    ("text/x-setext", "etx"),
    ("text/x-sgml", "sgm sgml"),
    ("text/x-vcard", "vcf"),
    ("text/xml", "xml"),
    ("video/mp4", "mp4"),
    ("video/mpeg", "mpeg m1v mpa mpe mpg"),
    ("video/quicktime", "mov qt"),
    ("video/webm", "webm"),
    ("video/x-msvideo", "avi"),
    ("video/x-sgi-movie", "movie"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_types() {
        let check = |name: &str, expected| assert_eq!(of(Path::new(name)), expected, "{name}");
        check("/a/b.txt", Some("text/plain"));
        check("B.TXT", Some("text/plain"));
        check("x.tar.gz", Some("application/x-tar"));
        check("x.tgz", Some("application/x-tar"));
        check("x.csv.bz2", Some("text/csv"));
        check("x.gz", None);
        check("x.txt.GZ", None);
        check("x.SVGZ", Some("image/svg+xml"));
        check(".txt", None);
        check(".x.json", Some("application/json"));
        check("..txt", None);
        check("README", None);
        check("x.", None);
        check("x.md", None);
        check("x.docx", None);
    }
}
