//! The best of many, with ties as Python's `heapq` leaves them.

use std::cmp::Ordering;

use raw_json::PyString;

/// A finite score and whose it is.
#[derive(Debug, Clone, Copy)]
struct Ranked<'a> {
    score: f64,
    id: &'a PyString,
    place: usize,
}

impl Ranked<'_> {
    /// As Python compares tuples: by score, then by id.
    fn is_less(&self, other: &Self) -> bool {
        match self.score.partial_cmp(&other.score) {
            Some(Ordering::Equal) | None => self.id < other.id,
            Some(order) => order.is_lt(),
        }
    }
}

/// Collects candidates, which are offered in their order, and keeps the best.
///
/// LlamaIndex pushes each candidate on a binary min-heap, pops the least when there are too many, and in the end sorts
/// the heap's array by score alone, stably. So the order of equal scores is what is left of the heap's history, and the
/// same must happen here.
///
/// Only a candidate that is less than all on a full heap may be left out: pushing and popping it restores the array.
/// The push takes it to the root, and the items on that way, *p₀* at the root to *pₙ*, move down a step each. The pop
/// puts *pₙ*, which is last now, at the root and lets it sink. At each step the lesser child is the *p* that moved
/// down, because its sibling was a child of that *p* before, and no two items are equal; so each *p* moves back up. At
/// the end a sibling of the last place may move up too; it was a child of *pₙ*, so *pₙ* rises past it again.
///
/// Scores that are not finite come from embeddings without a direction. Here they rank behind all others, in the order
/// they came; in LlamaIndex a `NaN` scrambles the heap and may push out better candidates.
#[derive(Debug)]
pub(crate) struct TopK<'a> {
    limit: usize,
    heap: Vec<Ranked<'a>>,
    undefined: Vec<usize>,
}

impl<'a> TopK<'a> {
    /// Keeps at most `limit`.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, heap: Vec::new(), undefined: Vec::new() }
    }

    /// A candidate with a score below this need not be offered; `None` while there is room for all.
    pub(crate) fn floor(&self) -> Option<f64> {
        (self.heap.len() >= self.limit).then(|| self.heap.first().map_or(f64::INFINITY, |least| least.score))
    }

    /// A candidate by its id and place, with its score.
    pub(crate) fn offer(&mut self, id: &'a PyString, place: usize, score: f64) {
        if score.is_finite() {
            self.push(Ranked { score, id, place });
        } else if self.undefined.len() < self.limit {
            self.undefined.push(place);
        }
    }

    /// The places of the best with their scores, best first.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = (usize, f64)> {
        self.heap.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
        let defined = self.heap.into_iter().map(|ranked| (ranked.place, ranked.score));
        defined.chain(self.undefined.into_iter().map(|place| (place, f64::NAN))).take(self.limit)
    }

    fn push(&mut self, ranked: Ranked<'a>) {
        self.heap.push(ranked);
        self.rise(self.heap.len() - 1);
        if self.heap.len() > self.limit {
            self.pop();
        }
    }

    /// Removes the root: the array's last item takes its place, sinks along the lesser children to a leaf, and rises
    /// from there.
    fn pop(&mut self) {
        self.heap.swap_remove(0);
        let len = self.heap.len();
        let mut at = 0;
        while 2 * at + 1 < len {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let lesser = if right < len && !self.heap[left].is_less(&self.heap[right]) { right } else { left };
            self.heap.swap(at, lesser);
            at = lesser;
        }
        if len > 0 {
            self.rise(at);
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 && self.heap[at].is_less(&self.heap[(at - 1) / 2]) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Python's algorithm word for word, with all scores given.
    fn python(scores: &[f64], ids: &[PyString], top_k: usize) -> Vec<(PyString, f64)> {
        fn rise(heap: &mut [(f64, PyString)], start: usize, mut pos: usize) {
            let item = heap[pos].clone();
            while pos > start {
                let parent = (pos - 1) >> 1;
                if item < heap[parent] {
                    heap[pos] = heap[parent].clone();
                    pos = parent;
                    continue;
                }
                break;
            }
            heap[pos] = item;
        }
        let mut heap: Vec<(f64, PyString)> = Vec::new();
        for (score, id) in scores.iter().zip(ids) {
            heap.push((*score, id.clone()));
            let last = heap.len() - 1;
            rise(&mut heap, 0, last);
            if top_k != 0 && heap.len() > top_k {
                let last = heap.pop().unwrap();
                if !heap.is_empty() {
                    heap[0] = last.clone();
                    let (end, mut pos) = (heap.len(), 0);
                    let mut child = 2 * pos + 1;
                    while child < end {
                        let right = child + 1;
                        if right < end && heap[child] >= heap[right] {
                            child = right;
                        }
                        heap[pos] = heap[child].clone();
                        pos = child;
                        child = 2 * pos + 1;
                    }
                    heap[pos] = last;
                    rise(&mut heap, 0, pos);
                }
            }
        }
        heap.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap());
        heap.into_iter().map(|(score, id)| (id, score)).collect()
    }

    fn ours(scores: &[f64], ids: &[PyString], top_k: usize) -> Vec<(PyString, f64)> {
        let mut best = TopK::new(if top_k == 0 { usize::MAX } else { top_k });
        for (place, (score, id)) in scores.iter().zip(ids).enumerate() {
            if best.floor().is_none_or(|floor| *score >= floor) {
                best.offer(id, place, *score);
            }
        }
        best.finish().map(|(place, score)| (ids[place].clone(), score)).collect()
    }

    fn check(ids: &str, scores: &[f64], top_k: usize, expected: &str) {
        let ids: Vec<PyString> = ids.split(',').map(PyString::from).collect();
        let got: Vec<String> = ours(scores, &ids, top_k).iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(got.join(","), expected, "top {top_k}");
    }

    #[test]
    fn ties_are_broken_as_the_heap_leaves_them() {
        // Answers of LlamaIndex.
        for (top_k, expected) in [(1, "z"), (2, "e,z"), (3, "d,z,e"), (6, "a,b,c,d,e,z"), (9, "a,b,c,d,e,z")] {
            check("d,b,c,a,e,z", &[0.5; 6], top_k, expected);
        }
        check("d,b,c,a,e,z", &[0.5; 6], 0, "a,b,c,d,e,z");
    }

    #[test]
    fn what_has_no_score_comes_last() {
        let scores = [f64::NAN, 0.1, f64::INFINITY, 0.2, f64::NAN];
        check("a,b,c,d,e", &scores, 1, "d");
        check("a,b,c,d,e", &scores, 2, "d,b");
        check("a,b,c,d,e", &scores, 4, "d,b,a,c");
        check("a,b,c,d,e", &scores, 0, "d,b,a,c,e");
        check("a,b", &[f64::NAN; 2], 1, "a");
    }

    proptest! {
        #[test]
        fn the_order_is_pythons(
            items in prop::collection::vec((0..5_u8, 0..10_000_u32), 0..80),
            top_k in 0..20_usize,
        ) {
            let scores: Vec<f64> = items.iter().map(|(score, _)| f64::from(*score) / 4.0 - 0.5).collect();
            let ids: Vec<PyString> = items.iter().enumerate().map(|(i, (_, n))| format!("{n}-{i}").into()).collect();
            prop_assert_eq!(ours(&scores, &ids, top_k), python(&scores, &ids, top_k));
        }
    }
}
