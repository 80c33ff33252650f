//! Which node has which embedding.

use indexmap::IndexMap;
use indexmap::map::Entry;
use raw_json::{PyString, RawJson, Value, strip};

use crate::SimilarityMode;
use crate::matrix::{Approximation, Matrix, Probe};

/// Embeddings by node id, in order.
#[derive(Clone, Default)]
pub(crate) struct Vectors {
    slots: IndexMap<PyString, Slot>,
    matrix: Matrix,
}

/// Where an embedding is.
#[derive(Clone)]
enum Slot {
    /// A row of the matrix.
    Row(usize),
    /// A file had something else there: another length, numbers that are not finite, no list at all. It is kept as it
    /// was written.
    Aside(RawJson),
}

/// An embedding as it is in the store.
pub(crate) enum Stored<'a> {
    /// Numbers, as many as all rows of the matrix have.
    Row(Vec<f64>),
    /// What was kept aside.
    Aside(&'a RawJson),
}

impl Default for Matrix {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Vectors {
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many numbers embeddings have: those of the matrix, or without one the first that has any.
    pub(crate) fn dim(&self) -> Option<usize> {
        if self.matrix.len() > 0 {
            return Some(self.matrix.dim());
        }
        (0..self.len()).find_map(|at| self.dim_at(at).filter(|&dim| dim > 0))
    }

    /// Whether a file's row goes into the matrix.
    pub(crate) fn takes(&self, row: &[f64]) -> bool {
        !row.is_empty() && (self.matrix.len() == 0 || self.matrix.dim() == row.len())
    }

    /// Whether [`set`](Self::set) with these numbers leaves all others as they are kept.
    pub(crate) fn fits(&self, row: &[f64]) -> bool {
        self.matrix.fits(row)
    }

    /// Sets a node's embedding, which [`takes`](Self::takes) was asked about.
    pub(crate) fn set(&mut self, id: PyString, row: &[f64]) {
        if self.matrix.len() == 0 {
            self.matrix = Matrix::new(row.len());
        }
        let next = self.matrix.len();
        match self.slots.entry(id) {
            Entry::Occupied(slot) => match slot.into_mut() {
                Slot::Row(at) => return self.matrix.set(*at, row),
                aside => *aside = Slot::Row(next),
            },
            Entry::Vacant(slot) => {
                slot.insert(Slot::Row(next));
            }
        }
        self.matrix.push(row);
    }

    /// Keeps what a file has as a node's embedding as it is. A row that the node had before stays behind until
    /// [`retain`](Self::retain).
    pub(crate) fn set_aside(&mut self, id: PyString, raw: RawJson) {
        self.slots.insert(id, Slot::Aside(raw));
    }

    /// Keeps the nodes that `keep` wants, and only the rows that belong to a node. One pass.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&PyString) -> bool) {
        #[cfg(test)]
        crate::load::visits::add(self.len());
        self.slots.retain(|id, _| keep(id));
        let mut rows = Vec::with_capacity(self.len());
        for slot in self.slots.values_mut() {
            if let Slot::Row(row) = slot {
                rows.push(std::mem::replace(row, rows.len()));
            }
        }
        self.matrix = self.matrix.gather(&rows);
    }

    /// The node at a place of the order.
    pub(crate) fn id_at(&self, at: usize) -> &PyString {
        self.slots.get_index(at).map(|(id, _)| id).expect("places are below the length")
    }

    /// The place of a node in the order.
    pub(crate) fn place_of(&self, id: &PyString) -> Option<usize> {
        self.slots.get_index_of(id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = &PyString> {
        self.slots.keys()
    }

    pub(crate) fn contains(&self, id: &PyString) -> bool {
        self.slots.contains_key(id)
    }

    pub(crate) fn get(&self, id: &PyString) -> Option<Stored<'_>> {
        self.slots.get(id).map(|slot| self.stored(slot))
    }

    /// All nodes and their embeddings, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PyString, Stored<'_>)> {
        self.slots.iter().map(|(id, slot)| (id, self.stored(slot)))
    }

    fn stored<'a>(&self, slot: &'a Slot) -> Stored<'a> {
        match slot {
            Slot::Row(row) => Stored::Row(self.matrix.row(*row)),
            Slot::Aside(raw) => Stored::Aside(raw),
        }
    }

    /// How many numbers the embedding at a place has; `None` if it is no list of numbers.
    pub(crate) fn dim_at(&self, at: usize) -> Option<usize> {
        match &self.slots[at] {
            Slot::Row(_) => Some(self.matrix.dim()),
            Slot::Aside(raw) => numbers(raw).map(|numbers| numbers.len()),
        }
    }

    /// The numbers of the embedding at a place; `None` if it is no list of numbers.
    pub(crate) fn numbers_at(&self, at: usize) -> Option<Vec<f64>> {
        match &self.slots[at] {
            Slot::Row(row) => Some(self.matrix.row(*row)),
            Slot::Aside(raw) => numbers(raw),
        }
    }

    /// How similar the embedding at a place is to `probe`, which is as long. Not finite if it has no direction, or none
    /// that can be compared.
    pub(crate) fn similarity(&self, at: usize, probe: &Probe, mode: SimilarityMode) -> f64 {
        match &self.slots[at] {
            Slot::Row(row) => self.matrix.similarity(*row, probe, mode),
            Slot::Aside(raw) => numbers(raw).map_or(f64::NAN, |numbers| probe.similarity(&Probe::new(&numbers), mode)),
        }
    }

    /// The [`similarity`](Self::similarity), off by no more than it says, where that is much cheaper to find.
    pub(crate) fn approximation(&self, at: usize, probe: &Probe, mode: SimilarityMode) -> Option<Approximation> {
        match &self.slots[at] {
            Slot::Row(row) => self.matrix.approximation(*row, probe, mode),
            Slot::Aside(_) => None,
        }
    }
}

/// The numbers of an embedding that was kept aside; `None` if it is no list of numbers.
pub(crate) fn numbers(raw: &RawJson) -> Option<Vec<f64>> {
    raw.value().as_array()?.iter().map(number).collect()
}

/// What Python's `float` makes of a value: booleans and strings with a number in them are numbers too.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::String(s) => strip(s).to_str()?.parse().ok(),
        other => other.as_f64(),
    }
}
