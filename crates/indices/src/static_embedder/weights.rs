use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::StaticModelError;

/// The vectors of tokens.
#[derive(Debug)]
pub(super) struct Weights {
    /// All rows, one behind the other.
    rows: Vec<f32>,
    pub(super) dimensions: usize,
    /// The row of each token, if several share one.
    mapping: Option<Vec<usize>>,
    /// How much each token counts, if that differs.
    weights: Option<Vec<f32>>,
}

/// What models call the tensor of vectors: model2vec, and wordllama and sentence-transformers.
const EMBEDDINGS: [&str; 2] = ["embeddings", "embedding.weight"];

impl Weights {
    pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Self, StaticModelError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| StaticModelError::Damaged {
            file: file.to_owned(),
            wanted: "safetensors file",
            problem: e.to_string(),
        })?;
        let wrong =
            |tensor: &'static str, problem: String| StaticModelError::Tensor { file: file.to_owned(), tensor, problem };
        let found = EMBEDDINGS.iter().find_map(|name| Some((*name, tensors.tensor(name).ok()?)));
        let Some((name, view)) = found else {
            let there = tensors.names().join(", ");
            return Err(wrong(EMBEDDINGS[0], format!("is missing, and so is '{}'; there are: {there}", EMBEDDINGS[1])));
        };
        let &[count, dimensions] = view.shape() else {
            return Err(wrong(name, format!("has {} dimensions instead of 2", view.shape().len())));
        };
        if count == 0 || dimensions == 0 {
            return Err(wrong(name, "is empty".to_owned()));
        }
        let rows = floats(&view).map_err(|problem| wrong(name, problem))?;
        let mapping = match tensors.tensor("mapping") {
            Err(_) => None,
            Ok(view) => {
                let mapping = list(&view, positions).map_err(|problem| wrong("mapping", problem))?;
                if let Some(row) = mapping.iter().find(|row| **row >= count) {
                    return Err(wrong("mapping", format!("names row {row}, and there are {count}")));
                }
                Some(mapping)
            }
        };
        let tokens = mapping.as_ref().map_or(count, Vec::len);
        let weights = match tensors.tensor("weights") {
            Err(_) => None,
            Ok(view) => {
                let weights = list(&view, floats).map_err(|problem| wrong("weights", problem))?;
                if weights.len() != tokens {
                    return Err(wrong("weights", format!("has {} numbers for {tokens} tokens", weights.len())));
                }
                Some(weights)
            }
        };
        Ok(Self { rows, dimensions, mapping, weights })
    }

    /// How many tokens there are.
    pub(super) fn tokens(&self) -> usize {
        self.mapping.as_ref().map_or(self.rows.len() / self.dimensions, Vec::len)
    }

    /// Adds a token's vector to a sum, unless there is no such token.
    pub(super) fn add(&self, token: usize, sum: &mut [f64]) {
        let row = match &self.mapping {
            Some(mapping) => mapping.get(token).copied(),
            None => Some(token),
        };
        let row = row.and_then(|row| self.rows.chunks_exact(self.dimensions).nth(row)).unwrap_or_default();
        let weight =
            self.weights.as_ref().and_then(|weights| weights.get(token)).map_or(1.0, |weight| f64::from(*weight));
        for (sum, number) in sum.iter_mut().zip(row) {
            *sum += weight * f64::from(*number);
        }
    }
}

fn list<T>(view: &TensorView<'_>, read: impl Fn(&TensorView<'_>) -> Result<Vec<T>, String>) -> Result<Vec<T>, String> {
    match view.shape() {
        [_] => read(view),
        shape => Err(format!("has {} dimensions instead of 1", shape.len())),
    }
}

/// The numbers of a tensor, none of which is infinite or not a number.
fn floats(view: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let data = view.data();
    let floats: Vec<f32> = match view.dtype() {
        Dtype::F32 => read(data, f32::from_le_bytes),
        Dtype::F16 => read(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        Dtype::BF16 => read(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        Dtype::F64 => read(data, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::I8 => read(data, |bytes| f32::from(i8::from_le_bytes(bytes))),
        other => return Err(format!("is of the type {other:?}, which is none of F16, BF16, F32, F64, I8")),
    };
    match floats.iter().position(|number| !number.is_finite()) {
        Some(at) => Err(format!("has {} as number {at}", floats[at])),
        None => Ok(floats),
    }
}

/// The numbers of rows in a tensor.
fn positions(view: &TensorView<'_>) -> Result<Vec<usize>, String> {
    let data = view.data();
    let numbers: Vec<i64> = match view.dtype() {
        Dtype::I64 => read(data, i64::from_le_bytes),
        Dtype::I32 => read(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::U32 => read(data, |bytes| u32::from_le_bytes(bytes).into()),
        other => return Err(format!("is of the type {other:?}, which is none of I32, I64, U32")),
    };
    let position = |number: &i64| usize::try_from(*number).map_err(|_| format!("names row {number}"));
    numbers.iter().map(position).collect()
}

fn read<const N: usize, T>(data: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks().0.iter().map(|bytes| number(*bytes)).collect()
}
