//! Embeddings as the rows of a matrix.

use std::collections::BTreeMap;

use crate::SimilarityMode;
use crate::blocks::{Blocks, Doubles, Lanes, Singles, Sum, lanes, sum};
use crate::coding::{Coding, Exceptions};

/// Finite rows of equal length, kept in as few bytes as hold them to the bit.
#[derive(Clone)]
pub(crate) struct Matrix {
    dim: usize,
    numbers: Numbers,
    norms: Vec<f64>,
}

/// The numbers, all rows in the same way.
#[derive(Clone)]
enum Numbers {
    Singles { coding: Coding, rows: Blocks<Singles>, exceptions: BTreeMap<usize, Exceptions> },
    Doubles(Blocks<Doubles>),
}

/// An embedding to compare rows with.
pub(crate) struct Probe {
    lanes: Vec<Lanes>,
    norm: f64,
}

impl Probe {
    pub(crate) fn new(numbers: &[f64]) -> Self {
        let lanes = lanes(numbers);
        Self { norm: sum(&lanes, &lanes, Sum::Products).sqrt(), lanes }
    }

    /// How similar another one is, as [`Matrix::similarity`].
    pub(crate) fn similarity(&self, other: &Self, mode: SimilarityMode) -> f64 {
        similarity(mode, self, other.norm, |of| sum(&other.lanes, &self.lanes, of))
    }
}

/// How similar a row of this norm is, given the sums over its numbers and the probe's. Not a number for a row of zeros,
/// and not finite where it is undefined or out of a double's range.
#[inline]
fn similarity(mode: SimilarityMode, probe: &Probe, norm: f64, sum: impl Fn(Sum) -> f64) -> f64 {
    match mode {
        _ if norm == 0.0 => f64::NAN,
        SimilarityMode::Cosine => sum(Sum::Products) / (probe.norm * norm),
        SimilarityMode::DotProduct => sum(Sum::Products),
        SimilarityMode::Euclidean => -sum(Sum::SquaredDifferences).sqrt(),
    }
}

/// A similarity that was found in a cheaper way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Approximation {
    pub(crate) value: f64,
    /// How far it may be off at most.
    pub(crate) error: f64,
}

impl Matrix {
    /// No rows yet, of `dim` numbers each.
    pub(crate) fn new(dim: usize) -> Self {
        Self { dim, numbers: Numbers::singles(Coding::Exact, dim), norms: Vec::new() }
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    pub(crate) fn len(&self) -> usize {
        self.norms.len()
    }

    /// A row's numbers.
    pub(crate) fn row(&self, row: usize) -> Vec<f64> {
        let mut numbers = Vec::with_capacity(self.dim);
        self.numbers.read(row, self.dim, &mut numbers);
        numbers
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: &[f64]) {
        let exceptions = self.fit(row);
        self.numbers.push(row, exceptions);
        self.norms.push(Probe::new(row).norm);
    }

    /// Replaces a row.
    pub(crate) fn set(&mut self, at: usize, row: &[f64]) {
        let exceptions = self.fit(row);
        match &mut self.numbers {
            Numbers::Singles { rows, exceptions: all, .. } => {
                rows.set(at, row);
                all.remove(&at);
                if !exceptions.is_empty() {
                    all.insert(at, exceptions);
                }
            }
            Numbers::Doubles(rows) => rows.set(at, row),
        }
        self.norms[at] = Probe::new(row).norm;
    }

    /// These rows, in this order.
    pub(crate) fn gather(&self, rows: &[usize]) -> Self {
        let numbers = match &self.numbers {
            Numbers::Singles { coding, rows: blocks, exceptions } => {
                let of_row = |(to, from)| Some((to, exceptions.get(from)?.clone()));
                let exceptions = if exceptions.is_empty() {
                    BTreeMap::new()
                } else {
                    rows.iter().enumerate().filter_map(of_row).collect()
                };
                Numbers::Singles { coding: *coding, rows: blocks.gather(rows), exceptions }
            }
            Numbers::Doubles(blocks) => Numbers::Doubles(blocks.gather(rows)),
        };
        Self { dim: self.dim, numbers, norms: rows.iter().map(|&row| self.norms[row]).collect() }
    }

    /// Whether a row can be pushed or set without changing how all others are kept.
    pub(crate) fn fits(&self, row: &[f64]) -> bool {
        self.numbers.exceptions(row).is_some()
    }

    /// Changes how numbers are kept until a row fits, and returns the row's exceptions. It happens at most twice in the
    /// life of a matrix.
    fn fit(&mut self, row: &[f64]) -> Exceptions {
        if let Some(exceptions) = self.numbers.exceptions(row) {
            return exceptions;
        }
        if let Numbers::Singles { coding: Coding::Exact, .. } = self.numbers
            && let Some(exceptions) = Coding::Shortest.exceptions(row)
            && let Some(numbers) = self.recoded(Numbers::singles(Coding::Shortest, self.dim))
        {
            self.numbers = numbers;
            return exceptions;
        }
        self.numbers =
            self.recoded(Numbers::Doubles(Blocks::new(self.dim))).expect("doubles hold whatever a row can have in it");
        Vec::new()
    }

    /// All rows in another form, unless one does not fit it.
    fn recoded(&self, mut numbers: Numbers) -> Option<Numbers> {
        let mut row = Vec::with_capacity(self.dim);
        for i in 0..self.len() {
            row.clear();
            self.numbers.read(i, self.dim, &mut row);
            let exceptions = numbers.exceptions(&row)?;
            numbers.push(&row, exceptions);
        }
        Some(numbers)
    }

    /// How similar a row is to `probe`, from the row's true numbers. Not a number for a row of zeros, and not finite
    /// where it is undefined or out of a double's range.
    pub(crate) fn similarity(&self, row: usize, probe: &Probe, mode: SimilarityMode) -> f64 {
        similarity(mode, probe, self.norms[row], |of| match &self.numbers {
            Numbers::Singles { coding: Coding::Exact, rows, exceptions } if !exceptions.contains_key(&row) => {
                rows.sum(row, &probe.lanes, of)
            }
            Numbers::Singles { .. } => sum(&lanes(&self.row(row)), &probe.lanes, of),
            Numbers::Doubles(rows) => rows.sum(row, &probe.lanes, of),
        })
    }

    /// The [`similarity`](Self::similarity) and how far it may be off at most, where that is much cheaper to find.
    ///
    /// It is the similarity with the singles *y* in place of the row's true numbers *x*, and 2⁻²³ times a scale. Let *q*
    /// be the probe and *n* ≤ 2²⁴ the number of dimensions. Each *y* is *x* rounded to a single, exceptions
    /// included, so |*x* − *y*| ≤ 2⁻²⁴|*x*| + 2⁻¹⁵⁰ (the second for numbers below the normal ones), and ‖*x* − *y*‖ ≤
    /// (2⁻²⁴ + 2⁻¹⁵⁰·√*n*/‖*x*‖)·‖*x*‖ ≤ (2⁻²⁴ + 2⁻³⁸)·‖*x*‖ where ‖*x*‖ ≥ 2⁻¹⁰⁰. Given the ranges of the norms nothing
    /// overflows, and what underflows is far too small to count.
    ///
    /// *Products*, with the scale ‖*q*‖‖*x*‖: by Cauchy and Schwarz the two differ by at most (2⁻²⁴ + 2⁻³⁸)·‖*q*‖‖*x*‖.
    /// Summing up in doubles adds an error of at most 2·*n*·2⁻⁵³·‖*q*‖‖*x*‖ ≤ 2⁻²⁸·‖*q*‖‖*x*‖ to either.
    ///
    /// *Cosines*, with the scale 1: both products are divided by the same number, which differs from ‖*q*‖‖*x*‖ by a
    /// factor of 1 ± 2⁻²⁷. All in all they differ by less than (2⁻²⁴ + 2⁻³⁸ + 2⁻²⁷)(1 + 2⁻²⁶) + 2⁻⁵¹ < 2⁻²³.
    ///
    /// *Distances*, with the scale ‖*q*‖ + ‖*x*‖: by the triangle inequality the two differ by at most ‖*x* − *y*‖.
    /// Summing up and taking the root adds an error of at most *n*·2⁻⁵³ ≤ 2⁻²⁹ of either, which is at most ‖*q*‖ + ‖*x*‖
    /// and a little.
    pub(crate) fn approximation(&self, row: usize, probe: &Probe, mode: SimilarityMode) -> Option<Approximation> {
        const PROBE_NORMS: std::ops::Range<f64> = 1e-100..1e100;
        const ROW_NORMS: std::ops::Range<f64> = 1e-30..1e60;
        const DIM_MAX: usize = 1 << 24;
        let Numbers::Singles { coding, rows, exceptions } = &self.numbers else { return None };
        let norm = self.norms[row];
        let scale = match mode {
            SimilarityMode::Cosine => 1.0,
            SimilarityMode::DotProduct => probe.norm * norm,
            SimilarityMode::Euclidean => probe.norm + norm,
        };
        let cheaper = *coding == Coding::Shortest || exceptions.contains_key(&row);
        (cheaper && self.dim <= DIM_MAX && PROBE_NORMS.contains(&probe.norm) && ROW_NORMS.contains(&norm)).then(|| {
            let value = similarity(mode, probe, norm, |of| rows.sum(row, &probe.lanes, of));
            Approximation { value, error: f64::from(f32::EPSILON) * scale }
        })
    }
}

impl Numbers {
    fn singles(coding: Coding, dim: usize) -> Self {
        Self::Singles { coding, rows: Blocks::new(dim), exceptions: BTreeMap::new() }
    }

    /// What would have to be noted beside a row; `None` if the row does not fit.
    fn exceptions(&self, row: &[f64]) -> Option<Exceptions> {
        match self {
            Self::Singles { coding, .. } => coding.exceptions(row),
            Self::Doubles(_) => Some(Vec::new()),
        }
    }

    fn push(&mut self, row: &[f64], noted: Exceptions) {
        match self {
            Self::Singles { rows, exceptions, .. } => {
                if !noted.is_empty() {
                    exceptions.insert(rows.len(), noted);
                }
                rows.push(row);
            }
            Self::Doubles(rows) => rows.push(row),
        }
    }

    /// Appends a row's numbers to `out`, which is empty.
    fn read(&self, row: usize, dim: usize, out: &mut Vec<f64>) {
        match self {
            Self::Singles { coding, rows, exceptions } => {
                let singles = rows.row(row).iter().flat_map(|line| line.0).take(dim);
                out.extend(singles.map(|single| coding.decode(single)));
                for &(i, x) in exceptions.get(&row).into_iter().flatten() {
                    out[i] = x;
                }
            }
            Self::Doubles(rows) => out.extend(rows.row(row).iter().flat_map(|line| line.0).take(dim)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use raw_json::shortest_f32;

    /// Each number as far from its single as a number can be: half-way to the next one, in the direction in which it is
    /// more similar to `probe`.
    fn worst(singles: &[f32], probe: &[f64], mode: SimilarityMode) -> Vec<f64> {
        let half_way = |(single, q): (&f32, &f64)| {
            let up = match mode {
                SimilarityMode::Euclidean => *q > f64::from(*single),
                _ => *q > 0.0,
            };
            let to = if up { single.next_up() } else { single.next_down() };
            let (a, b) = (f64::from(*single), f64::from(to));
            a + 0.499_999 * (b - a)
        };
        singles.iter().zip(probe).map(half_way).collect()
    }

    proptest! {
        #[test]
        fn no_similarity_is_further_off_than_told(
            singles in prop::collection::vec(prop_oneof![-1.0_f32..1.0, -1e-20_f32..1e-20, 0.99_f32..1.01], 16..200),
            probe in prop::collection::vec(-1.0_f64..1.0, 200),
            parallel in any::<bool>(),
            mode in prop::sample::select(&SimilarityMode::ALL[..]),
        ) {
            let same = || singles.iter().map(|x| f64::from(*x)).collect();
            let probe: Vec<f64> = if parallel { same() } else { probe[..singles.len()].to_vec() };
            let mut matrix = Matrix::new(singles.len());
            let shortest: Vec<f64> = singles.iter().map(|x| shortest_f32(*x)).collect();
            matrix.push(&shortest);
            // A row of exceptions is not let in, but the bound holds for it too.
            let far = worst(&singles, &probe, mode);
            let Numbers::Singles { coding, rows, exceptions } = &mut matrix.numbers else { panic!("singles fit") };
            *coding = Coding::Shortest;
            exceptions.insert(1, far.iter().copied().enumerate().collect());
            rows.push(&far);
            matrix.norms.push(Probe::new(&far).norm);
            let probe = Probe::new(&probe);
            for row in 0..2 {
                let norm = matrix.norms[row];
                let scale = match mode {
                    SimilarityMode::Cosine => 1.0,
                    SimilarityMode::DotProduct => probe.norm * norm,
                    SimilarityMode::Euclidean => probe.norm + norm,
                };
                let exact = matrix.similarity(row, &probe, mode);
                let Approximation { value, error } = matrix.approximation(row, &probe, mode).unwrap();
                prop_assert!((exact - value).abs() <= error && error <= 1.5e-7 * scale, "{exact} {value}");
            }
        }
    }

    #[test]
    fn there_is_no_approximation_where_it_would_not_hold() {
        let mut matrix = Matrix::new(2);
        matrix.push(&[0.1, 0.2]);
        matrix.push(&[1e-40, 2e-40]);
        matrix.push(&[0.0, 0.0]);
        for mode in SimilarityMode::ALL {
            let known = |probe: &[f64]| {
                (0..3).map(|row| matrix.approximation(row, &Probe::new(probe), mode).is_some()).collect::<Vec<_>>()
            };
            assert_eq!(known(&[1.0, 0.0]), [true, false, false]);
            assert_eq!(known(&[1e200, 0.0]), [false; 3]);
            assert_eq!(known(&[f64::NAN, 0.0]), [false; 3]);
        }
    }

    #[test]
    fn a_matrix_takes_the_smallest_form_that_fits() {
        let form = |rows: &[[f64; 16]]| {
            let mut matrix = Matrix::new(16);
            rows.iter().for_each(|row| matrix.push(row));
            match matrix.numbers {
                Numbers::Singles { coding: Coding::Exact, .. } => "exact",
                Numbers::Singles { coding: Coding::Shortest, .. } => "shortest",
                Numbers::Doubles(_) => "doubles",
            }
        };
        assert_eq!(form(&[[0.5; 16], [f64::from(0.1_f32); 16]]), "exact");
        assert_eq!(form(&[[0.5; 16], [0.1; 16]]), "shortest");
        assert_eq!(form(&[[f64::from(0.1_f32); 16], [0.1; 16]]), "doubles");
        assert_eq!(form(&[[0.1; 16], [f64::from(0.1_f32); 16]]), "doubles");
        assert_eq!(form(&[[1.0 / 3.0; 16]]), "doubles");
    }

    #[test]
    fn a_row_fits_until_the_others_have_to_change_for_it() {
        let mut matrix = Matrix::new(16);
        for (row, expected) in [(0.5, true), (0.1, false), (0.2, true), (1.0 / 3.0, false), (1.0 / 7.0, true)] {
            let row = [row; 16];
            assert_eq!(matrix.fits(&row), expected, "{row:?}");
            matrix.push(&row);
            assert!(matrix.fits(&row));
        }
    }
}
