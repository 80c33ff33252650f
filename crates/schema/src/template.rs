//! Python's `str.format`, for the templates of nodes. All values are strings.

use raw_json::{PyString, Value, py_repr};

/// Fills in a template, or says in words what is wrong with it.
pub(crate) fn fill(template: &PyString, values: &[(&str, &PyString)]) -> Result<PyString, String> {
    let points: Vec<u32> = template.code_points().collect();
    fill_points(&points, values, 2).map(PyString::from_code_points)
}

const OPEN: u32 = '{' as u32;
const CLOSE: u32 = '}' as u32;

fn fill_points(template: &[u32], values: &[(&str, &PyString)], depth: u8) -> Result<Vec<u32>, String> {
    if depth == 0 {
        return Err("fields are nested too deeply".to_owned());
    }
    let given: usize = values.iter().map(|(_, value)| value.len()).sum();
    let limit = LENGTH_MAX + 4 * (given + template.len());
    let mut out = Vec::with_capacity(template.len());
    let mut rest = template;
    while let Some((&point, behind)) = rest.split_first() {
        rest = behind;
        match (point, behind.first()) {
            (OPEN, Some(&OPEN)) | (CLOSE, Some(&CLOSE)) => {
                out.push(point);
                rest = &behind[1..];
            }
            (CLOSE, _) => return Err("a single '}' stands there".to_owned()),
            (OPEN, _) => {
                let end = field_end(behind).ok_or("a '{' is not closed")?;
                out.extend(fill_field(&behind[..end], values, depth)?);
                rest = &behind[end + 1..];
            }
            _ => out.push(point),
        }
        if out.len() > limit {
            return Err("the result would be far longer than what goes into it".to_owned());
        }
    }
    Ok(out)
}

/// Where the field that starts here ends, minding braces within its format.
fn field_end(points: &[u32]) -> Option<usize> {
    let mut open = 1;
    points.iter().position(|&point| {
        match point {
            OPEN => open += 1,
            CLOSE => open -= 1,
            _ => {}
        }
        open == 0
    })
}

/// A field: a name, perhaps `!` and a conversion, perhaps `:` and a format.
fn fill_field(field: &[u32], values: &[(&str, &PyString)], depth: u8) -> Result<Vec<u32>, String> {
    let is = |c: char| move |&p: &u32| p == c as u32;
    let (head, spec) = match field.iter().position(is(':')) {
        Some(colon) => (&field[..colon], fill_points(&field[colon + 1..], values, depth - 1)?),
        None => (field, Vec::new()),
    };
    let (name, conversion) = match head.iter().position(is('!')) {
        Some(mark) => (&head[..mark], Some(&head[mark + 1..])),
        None => (head, None),
    };
    let name = PyString::from_code_points(name.iter().copied());
    let value = values
        .iter()
        .find(|(known, _)| name == **known)
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("there is no '{name}'; there are {}", known_names(values)))?;
    let converted = match conversion {
        None => value.code_points().collect(),
        Some([c]) if *c == 's' as u32 => value.code_points().collect(),
        Some([c]) if *c == 'r' as u32 => code_points(&py_repr(&Value::from(value))),
        Some([c]) if *c == 'a' as u32 => code_points(&escape_non_ascii(&py_repr(&Value::from(value)))),
        Some(_) => return Err("a conversion is one of !s, !r and !a".to_owned()),
    };
    format_string(converted, &spec)
}

fn known_names(values: &[(&str, &PyString)]) -> String {
    values.iter().map(|(name, _)| format!("'{{{name}}}'")).collect::<Vec<_>>().join(" and ")
}

fn code_points(text: &str) -> Vec<u32> {
    text.chars().map(u32::from).collect()
}

fn escape_non_ascii(repr: &str) -> String {
    repr.chars()
        .map(|c| match u32::from(c) {
            0..0x80 => c.to_string(),
            p @ 0x80..0x100 => format!("\\x{p:02x}"),
            p @ 0x100..0x1_0000 => format!("\\u{p:04x}"),
            p => format!("\\U{p:08x}"),
        })
        .collect()
}

/// The widest field that is filled up, and what a result may have beyond four times what goes into it: a template must not
/// be a way to use up memory.
const WIDTH_MAX: usize = 1 << 16;
const LENGTH_MAX: usize = 1 << 20;

/// Python's format of a string: `[[fill]align][0][width][.precision][s]`.
fn format_string(value: Vec<u32>, spec: &[u32]) -> Result<Vec<u32>, String> {
    if spec.is_empty() {
        return Ok(value);
    }
    let align_of = |p: Option<&u32>| p.and_then(|&p| char::from_u32(p)).filter(|c| matches!(c, '<' | '>' | '^'));
    let (mut fill, align, mut rest) = match (align_of(spec.get(1)), align_of(spec.first())) {
        (Some(align), _) => (spec[0], align, &spec[2..]),
        (None, Some(align)) => (' ' as u32, align, &spec[1..]),
        (None, None) => (' ' as u32, '<', spec),
    };
    // A zero before the width fills, unless a fill is given.
    if rest.first() == Some(&('0' as u32)) && spec.len() - rest.len() < 2 {
        fill = '0' as u32;
    }
    let number = |rest: &mut &[u32]| {
        let len = rest.iter().take_while(|&&p| (0x30..0x3A).contains(&p)).count();
        let (digits, behind) = rest.split_at(len);
        *rest = behind;
        (len > 0).then(|| digits.iter().fold(0_usize, |n, d| n.saturating_mul(10).saturating_add((d - 0x30) as usize)))
    };
    let width = number(&mut rest).unwrap_or(0);
    let mut precision = usize::MAX;
    if let [dot, behind @ ..] = rest
        && *dot == '.' as u32
    {
        rest = behind;
        precision = number(&mut rest).ok_or("a precision is missing")?;
    }
    if !rest.is_empty() && rest != ['s' as u32] {
        return Err("the format does not fit a text".to_owned());
    }
    if width > WIDTH_MAX {
        return Err(format!("a width of {width} is too large"));
    }
    let mut text = value;
    text.truncate(precision);
    let missing = width.saturating_sub(text.len());
    let left = match align {
        '<' => 0,
        '>' => missing,
        _ => missing / 2,
    };
    let mut out = vec![fill; left];
    out.extend(text);
    out.resize(out.len() + missing - left, fill);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: Result<&str, &str>) {
        let (key, value) = (PyString::from("k"), PyString::from("it's é"));
        let got = fill(&template.into(), &[("key", &key), ("value", &value)]).map(|s| s.to_string());
        assert_eq!(got.as_deref().map_err(|e| e.as_str()), expected, "{template}");
    }

    #[test]
    fn fields_and_braces() {
        check("{key}: {value}", Ok("k: it's é"));
        check("", Ok(""));
        check("{{{key}}} {{}}", Ok("{k} {}"));
        check("{value!r} {value!s} {value!a}", Ok("\"it's é\" it's é \"it's \\xe9\""));
    }

    #[test]
    fn formats() {
        check("[{key:>3}] [{key:<3}] [{key:^4}] [{key:*^4}]", Ok("[  k] [k  ] [ k  ] [*k**]"));
        check("[{key:3}] [{key:03}] [{value:.4}] [{value:.2s}]", Ok("[k  ] [k00] [it's] [it]"));
        check("[{key:>05}] [{key:^05}] [{key:*>05}]", Ok("[0000k] [00k00] [****k]"));
        check("[{key:{key}}]", Err("the format does not fit a text"));
        check("{key:d}", Err("the format does not fit a text"));
        check("{key:99999999999999999999}", Err("a width of 18446744073709551615 is too large"));
        check("{key:.}", Err("a precision is missing"));
    }

    #[test]
    fn problems_are_told() {
        check("{nope}", Err("there is no 'nope'; there are '{key}' and '{value}'"));
        check("{}", Err("there is no ''; there are '{key}' and '{value}'"));
        check("{0}", Err("there is no '0'; there are '{key}' and '{value}'"));
        check("{key", Err("a '{' is not closed"));
        check("key}", Err("a single '}' stands there"));
        check("{key!x}", Err("a conversion is one of !s, !r and !a"));
        check("{key:{key:{key}}}", Err("fields are nested too deeply"));
        check(&"{key:65536}".repeat(100), Err("the result would be far longer than what goes into it"));
    }
}
