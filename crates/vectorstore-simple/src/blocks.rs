//! Rows of numbers in aligned blocks, and sums over pairs of their numbers.

use std::sync::Arc;

/// Eight sums that grow side by side.
///
/// Number `i` of a row goes to lane `i % 8`, whatever the row is kept in, and the lanes are added up in one fixed order
/// at the end. So a score depends on the numbers alone, not on the machine or on how they are stored.
pub(crate) type Lanes = [f64; 8];

/// The numbers that fill a cache line.
pub(crate) trait Line: Copy {
    /// How many numbers it has.
    const LEN: usize;

    /// Takes up to [`LEN`](Self::LEN) numbers; the rest is zero, which changes no sum.
    fn pack(numbers: &[f64]) -> Self;

    /// The sum of what `f` makes of each number of a row and the one of `other` in its place. [`lanes`] made `other`; of
    /// two zeros, which fill up the lines, `f` makes zero.
    fn sum(row: &[Self], other: &[Lanes], f: impl Fn(f64, f64) -> f64) -> f64;
}

/// 16 singles.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Singles(pub(crate) [f32; 16]);

/// 8 doubles.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Doubles(pub(crate) [f64; 8]);

impl Line for Singles {
    const LEN: usize = 16;

    fn pack(numbers: &[f64]) -> Self {
        let mut line = [0.0; 16];
        line.iter_mut().zip(numbers).for_each(|(to, &x)| *to = x as f32);
        Self(line)
    }

    #[inline]
    fn sum(row: &[Self], other: &[Lanes], f: impl Fn(f64, f64) -> f64) -> f64 {
        let mut sums = [0.0; 8];
        for (line, [first, second]) in row.iter().zip(other.as_chunks::<2>().0) {
            for lane in 0..8 {
                sums[lane] += f(f64::from(line.0[lane]), first[lane]);
            }
            for lane in 0..8 {
                sums[lane] += f(f64::from(line.0[lane + 8]), second[lane]);
            }
        }
        add_up(sums)
    }
}

impl Line for Doubles {
    const LEN: usize = 8;

    fn pack(numbers: &[f64]) -> Self {
        let mut line = [0.0; 8];
        line.iter_mut().zip(numbers).for_each(|(to, &x)| *to = x);
        Self(line)
    }

    #[inline]
    fn sum(row: &[Self], other: &[Lanes], f: impl Fn(f64, f64) -> f64) -> f64 {
        let mut sums = [0.0; 8];
        for (line, those) in row.iter().zip(other) {
            for lane in 0..8 {
                sums[lane] += f(line.0[lane], those[lane]);
            }
        }
        add_up(sums)
    }
}

fn add_up([a, b, c, d, e, f, g, h]: Lanes) -> f64 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Some numbers as lanes, filled up with zeros to whole lines of either kind.
pub(crate) fn lanes(numbers: &[f64]) -> Vec<Lanes> {
    let mut lanes = vec![[0.0; 8]; 2 * numbers.len().div_ceil(16)];
    lanes.as_flattened_mut()[..numbers.len()].copy_from_slice(numbers);
    lanes
}

/// What is summed up over pairs of numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sum {
    /// The products, which make the scalar product.
    Products,
    /// The squares of the differences, which make the square of the distance.
    SquaredDifferences,
}

/// The sum of two that [`lanes`] made.
pub(crate) fn sum(these: &[Lanes], those: &[Lanes], of: Sum) -> f64 {
    fn up(these: &[Lanes], those: &[Lanes], f: impl Fn(f64, f64) -> f64) -> f64 {
        let mut sums = [0.0; 8];
        for (these, those) in these.iter().zip(those) {
            for lane in 0..8 {
                sums[lane] += f(these[lane], those[lane]);
            }
        }
        add_up(sums)
    }
    match of {
        Sum::Products => up(these, those, product),
        Sum::SquaredDifferences => up(these, those, squared_difference),
    }
}

fn product(a: f64, b: f64) -> f64 {
    a * b
}

fn squared_difference(a: f64, b: f64) -> f64 {
    (a - b) * (a - b)
}

/// How many lines a block has at most: 1 MiB.
const BLOCK_LINES: usize = 1 << 14;

/// Rows of equal length, in blocks that copies share until one of them changes.
#[derive(Clone)]
pub(crate) struct Blocks<L> {
    lines_per_row: usize,
    rows_per_block: usize,
    len: usize,
    blocks: Vec<Arc<Vec<L>>>,
}

impl<L: Line> Blocks<L> {
    /// No rows yet, of `dim` numbers each.
    pub(crate) fn new(dim: usize) -> Self {
        let lines_per_row = dim.div_ceil(L::LEN).max(1);
        let rows_per_block = (BLOCK_LINES / lines_per_row).max(1);
        Self { lines_per_row, rows_per_block, len: 0, blocks: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn row(&self, row: usize) -> &[L] {
        let at = row % self.rows_per_block * self.lines_per_row;
        &self.blocks[row / self.rows_per_block][at..at + self.lines_per_row]
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, numbers: &[f64]) {
        self.push_lines(numbers.chunks(L::LEN).map(L::pack));
    }

    fn push_lines(&mut self, lines: impl Iterator<Item = L>) {
        if self.len.is_multiple_of(self.rows_per_block) {
            self.blocks.push(Arc::default());
        }
        let block = Arc::make_mut(self.blocks.last_mut().expect("one was pushed before the first row"));
        if block.capacity() - block.len() < self.lines_per_row {
            // Blocks after the first are likely to be filled, and growing them by steps would leave the heap in pieces.
            let left = self.rows_per_block * self.lines_per_row - block.len();
            let wanted = if self.len < self.rows_per_block { block.len().max(self.lines_per_row) } else { left };
            block.reserve_exact(wanted.min(left));
        }
        block.extend(lines);
        self.len += 1;
    }

    pub(crate) fn set(&mut self, row: usize, numbers: &[f64]) {
        let at = row % self.rows_per_block * self.lines_per_row;
        let block = Arc::make_mut(&mut self.blocks[row / self.rows_per_block]);
        block[at..].iter_mut().zip(numbers.chunks(L::LEN)).for_each(|(to, chunk)| *to = L::pack(chunk));
    }

    /// These rows, in this order. Blocks at the start that stay as they are are shared.
    pub(crate) fn gather(&self, rows: &[usize]) -> Self {
        let in_place = rows.iter().enumerate().take_while(|(i, row)| i == *row).count();
        let shared = in_place / self.rows_per_block;
        let blocks = self.blocks[..shared].to_vec();
        let mut gathered = Self { blocks, len: shared * self.rows_per_block, ..*self };
        for &row in &rows[gathered.len..] {
            gathered.push_lines(self.row(row).iter().copied());
        }
        gathered
    }

    /// The sum of a row and `other`, which [`lanes`] made.
    pub(crate) fn sum(&self, row: usize, other: &[Lanes], of: Sum) -> f64 {
        // Each is compiled by itself, with the function inside the loop.
        match of {
            Sum::Products => L::sum(self.row(row), other, product),
            Sum::SquaredDifferences => L::sum(self.row(row), other, squared_difference),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: usize, dim: usize) -> Vec<f64> {
        (0..dim).map(|i| f64::from(((seed * 7919 + i * 104_729) % 2003) as f32 - 1001.0) / 64.0).collect()
    }

    #[test]
    fn sums_are_the_same_whatever_holds_the_row() {
        for dim in [1, 7, 8, 9, 15, 16, 17, 24, 100, 768] {
            let (mut singles, mut doubles) = (Blocks::<Singles>::new(dim), Blocks::<Doubles>::new(dim));
            let query: Vec<f64> = numbers(1, dim).iter().map(|x| x / 3.0).collect();
            for seed in 2..5 {
                singles.push(&numbers(seed, dim));
                doubles.push(&numbers(seed, dim));
            }
            for row in 0..3 {
                for (of, f) in
                    [(Sum::Products, product as fn(f64, f64) -> f64), (Sum::SquaredDifferences, squared_difference)]
                {
                    let expected = sum(&lanes(&numbers(row + 2, dim)), &lanes(&query), of);
                    assert_eq!(singles.sum(row, &lanes(&query), of), expected);
                    assert_eq!(doubles.sum(row, &lanes(&query), of), expected);
                    let plain: f64 = numbers(row + 2, dim).iter().zip(&query).map(|(a, b)| f(*a, *b)).sum();
                    assert!((plain - expected).abs() <= 1e-9 * plain.abs().max(1.0));
                }
            }
        }
    }

    #[test]
    fn rows_are_aligned_and_blocks_shared() {
        let dim = 1 << 12;
        let mut blocks = Blocks::<Singles>::new(dim);
        (0..200).for_each(|row| blocks.push(&vec![row as f64; dim]));
        assert_eq!(blocks.blocks.len(), 4);
        assert!((0..200).all(|row| blocks.row(row).as_ptr().addr().is_multiple_of(64)));
        assert!(blocks.blocks.iter().all(|block| block.capacity() <= BLOCK_LINES));

        let rows: Vec<usize> = (0..200).filter(|row| *row != 130).collect();
        let gathered = blocks.gather(&rows);
        assert!(Arc::ptr_eq(&blocks.blocks[1], &gathered.blocks[1]));
        assert!(!Arc::ptr_eq(&blocks.blocks[2], &gathered.blocks[2]));
        assert_eq!(gathered.len(), 199);
        assert!(rows.iter().enumerate().all(|(i, &row)| gathered.row(i)[0].0[0] == row as f32));

        let mut changed = gathered.clone();
        changed.set(5, &vec![-1.0; dim]);
        assert_eq!((changed.row(5)[255].0[15], gathered.row(5)[255].0[15]), (-1.0, 5.0));
    }
}
