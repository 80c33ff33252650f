//! How doubles are kept as singles without losing a bit.

use raw_json::shortest_f32;

/// What a single stands for.
///
/// Embeddings are made as singles nearly everywhere. Libraries hand them over as doubles of the same value; services
/// send them as shortest decimals, which Python then reads as doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Itself.
    Exact,
    /// The double nearest to its shortest decimal.
    Shortest,
}

/// The numbers of a row that are something else than their singles stand for, by their place.
pub(crate) type Exceptions = Vec<(usize, f64)>;

impl Coding {
    /// The number a single stands for.
    pub(crate) fn decode(self, single: f32) -> f64 {
        match self {
            Self::Exact => f64::from(single),
            Self::Shortest => shortest_f32(single),
        }
    }

    /// What singles cannot hold of a row: a handful of exceptions, at most one number in 16. `None` if it is more, or
    /// if a single would overflow.
    pub(crate) fn exceptions(self, row: &[f64]) -> Option<Exceptions> {
        let mut exceptions = Vec::new();
        for (i, &x) in row.iter().enumerate() {
            let single = x as f32;
            if self.decode(single).to_bits() != x.to_bits() {
                if exceptions.len() >= row.len() / 16 || !single.is_finite() {
                    return None;
                }
                exceptions.push((i, x));
            }
        }
        Some(exceptions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handful_of_exceptions_is_allowed() {
        let mut row = vec![0.5; 32];
        assert_eq!(Coding::Exact.exceptions(&row), Some(vec![]));
        row[3] = 0.1;
        row[31] = -0.010299738;
        assert_eq!(Coding::Exact.exceptions(&row), Some(vec![(3, 0.1), (31, -0.010299738)]));
        assert_eq!(Coding::Shortest.exceptions(&row), Some(vec![]));
        row[4] = 1.0 / 3.0;
        assert_eq!(Coding::Exact.exceptions(&row), None);
        assert_eq!(Coding::Shortest.exceptions(&row), Some(vec![(4, 1.0 / 3.0)]));
        row[4] = 1e300;
        assert_eq!(Coding::Shortest.exceptions(&row), None);
        assert_eq!(Coding::Exact.exceptions(&[0.1]), None);
    }

    #[test]
    fn signs_of_zero_and_tiny_numbers_count() {
        let row = [0.0, -0.0, f64::from(f32::MIN_POSITIVE), f64::from(f32::from_bits(1)), f64::from(f32::MAX)];
        assert_eq!(Coding::Exact.exceptions(&row), Some(vec![]));
        let row = [0.0, -0.0, 1e-45, 3.4028235e38, 1.1754944e-38];
        assert_eq!(Coding::Shortest.exceptions(&row), Some(vec![]));
    }
}
