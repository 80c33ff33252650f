//! Lines as a table, as JSON, and as sections of a document.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use support::marked;

use crate::data::Size;
use crate::row::{Line, Row};

/// A measured row.
pub(crate) type Measured = (&'static Row, Vec<Line>);

/// For people: times of this run, and ratios.
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut text = format!(
        "{:<30} {:>10} {:>10} {:>10}   {:>15}   {}\n",
        "work", "ours", "LlamaIndex", "limit", "LlamaIndex/ours", "ours/limit"
    );
    for (_, lines) in measured {
        for line in lines {
            let time = |time: Option<Duration>| time.map_or("-".to_owned(), milliseconds);
            let limit = line.times_limit().zip(line.limit);
            text += &format!(
                "{:<30} {:>10} {:>10} {:>10}   {:>15}   {}\n",
                line.work,
                time(Some(line.ours)),
                time(line.theirs),
                time(line.limit.map(|(_, time)| time)),
                line.times_theirs().map_or("-".to_owned(), times),
                limit.map_or("-".to_owned(), |(ratio, (what, _))| format!("{} ({what})", times(ratio))),
            );
        }
    }
    text
}

/// For programs: all times in seconds, and ratios.
pub(crate) fn json(measured: &[Measured], size: Size) -> String {
    let line = |row: &Row, line: &Line| -> Value {
        json!({
            "row": row.name,
            "work": line.work,
            "ours_s": line.ours.as_secs_f64(),
            "llama_index_s": line.theirs.map(|time| time.as_secs_f64()),
            "limit": line.limit.map(|(what, _)| what),
            "limit_s": line.limit.map(|(_, time)| time.as_secs_f64()),
            "llama_index_by_ours": line.times_theirs(),
            "ours_by_limit": line.times_limit(),
        })
    };
    let lines: Vec<Value> = measured.iter().flat_map(|(row, lines)| lines.iter().map(|one| line(row, one))).collect();
    format!("{:#}\n", json!({"nodes": size.nodes, "dimensions": size.dimensions, "lines": lines}))
}

/// The marks of a row's section.
pub(crate) fn marks(name: &str) -> [String; 2] {
    [format!("<!-- `cargo xtask bench {name} --write` writes from here -->"), format!("<!-- to here: {name} -->")]
}

/// Writes a row's section: ratios only, as times mean nothing on another machine.
pub(crate) fn write(row: &Row, lines: &[Line], size: Size, document: &Path) -> Result<()> {
    let mut text = format!(
        "{} With {size}.\n\n| work | LlamaIndex / ours | ours / limit | limit |\n|---|---:|---:|---|\n",
        row.work
    );
    for line in lines {
        let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), times);
        let limit = line.limit.map_or("-", |(what, _)| what);
        let (theirs, ours) = (ratio(line.times_theirs()), ratio(line.times_limit()));
        text += &format!("| {} | {theirs} | {ours} | {limit} |\n", line.work);
    }
    let [begin, end] = marks(row.name);
    marked::write([&begin, &end], &text, document)
}

/// A ratio with three digits.
fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio >= 99.95 => format!("{ratio:.0} ×"),
        ratio if ratio >= 9.995 => format!("{ratio:.1} ×"),
        ratio => format!("{ratio:.2} ×"),
    }
}

fn milliseconds(time: Duration) -> String {
    match time.as_secs_f64() * 1e3 {
        ms if ms >= 9_999.5 => format!("{:.1} s", ms / 1e3),
        ms if ms >= 99.95 => format!("{ms:.0} ms"),
        ms if ms >= 9.995 => format!("{ms:.1} ms"),
        ms => format!("{ms:.3} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_have_three_digits() {
        let check = |ratio, expected| assert_eq!(times(ratio), expected);
        check(1.0, "1.00 ×");
        check(0.0512, "0.05 ×");
        check(12.34, "12.3 ×");
        check(197.4, "197 ×");
    }

    #[test]
    fn a_line_has_both_ratios() {
        let ms = Duration::from_millis;
        let line = Line { work: "open".into(), ours: ms(20), theirs: Some(ms(2_000)), limit: Some(("read()", ms(10))) };
        let row = Row { name: "open", work: "Opens.", full_s: 1, quick_s: 1, measure: |_| Ok(Vec::new()) };
        let row: &'static Row = Box::leak(Box::new(row));
        let measured = [(row, vec![line])];
        let shown = table(&measured);
        assert!(shown.contains("100 ×") && shown.contains("2.00 × (read())"), "{shown}");
        let value: Value = serde_json::from_str(&json(&measured, Size::QUICK)).unwrap();
        assert_eq!(value["lines"][0]["llama_index_by_ours"], 100.0);
        assert_eq!(value["lines"][0]["ours_by_limit"], 2.0);
    }
}
