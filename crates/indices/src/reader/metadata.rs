//! What is told of a file.

use std::path::Path;

use fs_backends::FileStat;
use schema::{Metadata, Value};
use time::OffsetDateTime;

use super::{media_type, paths};

/// What models are not shown.
pub(super) const EXCLUDED: [&str; 6] =
    ["file_name", "file_type", "file_size", "creation_date", "last_modified_date", "last_accessed_date"];

/// LlamaIndex's metadata of a file, in its order.
pub(super) fn of_file(path: &Path, stat: &FileStat) -> Metadata {
    let mut metadata = Metadata::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            metadata.insert(key.into(), value);
        }
    };
    set("file_path", Some(paths::string(path).into()));
    set("file_name", path.file_name().map(|name| paths::string(name).into()));
    set("file_type", media_type::of(path).map(Value::from));
    set("file_size", Some(size(stat)));
    set("creation_date", stat.created.and_then(date).map(Value::from));
    set("last_modified_date", stat.modified.and_then(date).map(Value::from));
    set("last_accessed_date", stat.accessed.and_then(date).map(Value::from));
    metadata
}

/// What LlamaIndex tells of a file as a resource, in its order, with times to the second.
pub(super) fn of_resource(path: &Path, stat: &FileStat) -> Metadata {
    let mut info = Metadata::new();
    info.insert("file_path".into(), paths::string(path).into());
    info.insert("file_size".into(), size(stat));
    for (key, seconds) in [("creation_date", stat.created), ("last_modified_date", stat.modified)] {
        if let Some(time) = seconds.and_then(time) {
            info.insert(key.into(), time.into());
        }
    }
    info
}

fn size(stat: &FileStat) -> Value {
    i64::try_from(stat.size).unwrap_or(i64::MAX).into()
}

/// The day of a time in UTC; `None` beyond the year 9999.
fn date(seconds: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    Some(format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day()))
}

fn time(seconds: i64) -> Option<String> {
    let (hour, minute, second) = OffsetDateTime::from_unix_timestamp(seconds).ok()?.to_hms();
    Some(format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc() {
        let check = |seconds, expected: Option<&str>| assert_eq!(time(seconds).as_deref(), expected);
        check(0, Some("1970-01-01T00:00:00Z"));
        check(-1, Some("1969-12-31T23:59:59Z"));
        check(951_827_696, Some("2000-02-29T12:34:56Z"));
        check(i64::MAX, None);
    }

    #[test]
    fn metadata_come_in_order_and_without_what_is_not_known() {
        let keys = |metadata: &Metadata| metadata.keys().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let stat = FileStat { size: 7, created: Some(0), modified: Some(1), accessed: Some(2), ..FileStat::default() };
        let all = of_file(Path::new("/in/a.txt"), &stat);
        assert_eq!(keys(&all), format!("file_path {}", EXCLUDED.join(" ")));
        let some = of_file(Path::new("in/README"), &FileStat::default());
        assert_eq!(keys(&some), "file_path file_name file_size");
        assert_eq!(keys(&of_resource(Path::new("a"), &stat)), "file_path file_size creation_date last_modified_date");
    }
}
