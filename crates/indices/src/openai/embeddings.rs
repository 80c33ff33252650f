use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use raw_json::Value;

/// The embeddings of an answer to so many texts, in the order of the texts, or what is wrong with it.
pub(super) fn read(answer: &Value, texts: usize, dimensions: Option<usize>) -> Result<Vec<Vec<f64>>, String> {
    let Some(data) = answer.get("data").and_then(Value::as_array) else {
        return Err("it has no list 'data'".to_owned());
    };
    if data.len() != texts {
        return Err(format!("it has {} embeddings for {texts} texts", data.len()));
    }
    let mut embeddings: Vec<Option<Vec<f64>>> = vec![None; texts];
    for (at, item) in data.iter().enumerate() {
        let index = match item.get("index") {
            None => at,
            Some(Value::Int(index)) => usize::try_from(*index).unwrap_or(usize::MAX),
            Some(other) => return Err(format!("the index of embedding {at} is {}", shortened(other))),
        };
        let Some(place) = embeddings.get_mut(index) else {
            return Err(format!("it has an embedding with the index {index} for {texts} texts"));
        };
        let embedding = embedding(item).map_err(|problem| format!("embedding {index} {problem}"))?;
        if embedding.is_empty() {
            return Err(format!("embedding {index} is empty"));
        }
        if place.replace(embedding).is_some() {
            return Err(format!("it has two embeddings with the index {index}"));
        }
    }
    // There are as many as texts, and no two for one.
    let embeddings: Vec<Vec<f64>> = embeddings.into_iter().flatten().collect();
    check_dimensions(&embeddings, dimensions)?;
    Ok(embeddings)
}

/// Checks that all embeddings have so many numbers, or as many as the first.
pub(super) fn check_dimensions(embeddings: &[Vec<f64>], dimensions: Option<usize>) -> Result<(), String> {
    let Some(expected) = dimensions.or(embeddings.first().map(Vec::len)) else { return Ok(()) };
    match embeddings.iter().enumerate().find(|(_, embedding)| embedding.len() != expected) {
        None => Ok(()),
        Some((at, other)) => Err(format!("embedding {at} has {} numbers instead of {expected}", other.len())),
    }
}

fn embedding(item: &Value) -> Result<Vec<f64>, String> {
    match item.get("embedding") {
        Some(Value::Array(numbers)) => {
            let number = |(at, number): (usize, &Value)| match number.as_f64() {
                Some(x) if x.is_finite() => Ok(x),
                _ => Err(format!("has {} as number {at}", shortened(number))),
            };
            numbers.iter().enumerate().map(number).collect()
        }
        Some(Value::String(base64)) => {
            let bytes = STANDARD.decode(base64.as_bytes()).map_err(|e| format!("is no base64: {e}"))?;
            let (numbers, []) = bytes.as_chunks() else {
                return Err(format!("has {} bytes, which are no floats of 32 bits", bytes.len()));
            };
            let numbers: Vec<f64> = numbers.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect();
            match numbers.iter().position(|x| !x.is_finite()) {
                Some(at) => Err(format!("has {} as number {at}", numbers[at])),
                None => Ok(numbers),
            }
        }
        Some(other) => Err(format!("is {}", shortened(other))),
        None => Err("is missing".to_owned()),
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, texts: usize, dimensions: Option<usize>, expected: Result<&[&[f64]], &str>) {
        let answer = answer.parse::<raw_json::RawJson>().unwrap().value();
        let read = read(&answer, texts, dimensions);
        let expected = expected.map(|rows| rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>());
        assert_eq!(read, expected.map_err(str::to_owned), "{answer}");
    }

    #[test]
    fn embeddings_come_in_the_order_of_their_texts() {
        let answer = r#"{"data": [{"index": 1, "embedding": [1, 0.1]}, {"index": 0, "embedding": [2e-3, -0.0]}]}"#;
        check(answer, 2, Some(2), Ok(&[&[2e-3, -0.0], &[1.0, 0.1]]));
        check(r#"{"data": [{"embedding": [1]}, {"embedding": [2]}]}"#, 2, None, Ok(&[&[1.0], &[2.0]]));
        check(r#"{"data": [{"index": 0, "embedding": "AACAPwAAAMA="}]}"#, 1, None, Ok(&[&[1.0, -2.0]]));
        check(r#"{"data": []}"#, 0, None, Ok(&[]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let one = |item: &str, problem: &str| check(&format!(r#"{{"data": [{item}]}}"#), 1, Some(2), Err(problem));
        check("{}", 1, None, Err("it has no list 'data'"));
        check("[]", 1, None, Err("it has no list 'data'"));
        check(r#"{"data": []}"#, 1, None, Err("it has 0 embeddings for 1 texts"));
        one("1", "embedding 0 is missing");
        one(r#"{"embedding": null}"#, "embedding 0 is null");
        one(r#"{"embedding": []}"#, "embedding 0 is empty");
        one(r#"{"embedding": [1]}"#, "embedding 0 has 1 numbers instead of 2");
        one(r#"{"embedding": [1, null]}"#, "embedding 0 has null as number 1");
        one(r#"{"embedding": [NaN, 1]}"#, "embedding 0 has NaN as number 0");
        one(r#"{"embedding": [1, 1e999]}"#, "embedding 0 has Infinity as number 1");
        one(r#"{"embedding": [1, "2"]}"#, "embedding 0 has \"2\" as number 1");
        one(r#"{"embedding": "AACAPw=="}"#, "embedding 0 has 1 numbers instead of 2");
        one(r#"{"embedding": "AACA"}"#, "embedding 0 has 3 bytes, which are no floats of 32 bits");
        one(r#"{"embedding": "AADAfwAAwH8="}"#, "embedding 0 has NaN as number 0");
        one(r#"{"index": 1, "embedding": [1, 2]}"#, "it has an embedding with the index 1 for 1 texts");
        one(
            r#"{"index": -1, "embedding": [1, 2]}"#,
            &format!("it has an embedding with the index {} for 1 texts", usize::MAX),
        );
        one(r#"{"index": "0", "embedding": [1, 2]}"#, "the index of embedding 0 is \"0\"");
        let twice = r#"{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [2]}]}"#;
        check(twice, 2, None, Err("it has two embeddings with the index 0"));
        let ragged = r#"{"data": [{"embedding": [1]}, {"embedding": [2, 3]}]}"#;
        check(ragged, 2, None, Err("embedding 1 has 2 numbers instead of 1"));
    }
}
