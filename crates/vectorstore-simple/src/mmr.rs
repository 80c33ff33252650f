//! Maximal marginal relevance.

use vectorstore::MmrPenalty;

use crate::matrix::{Approximation, Probe};
use crate::state::State;

/// How results are picked.
pub(crate) struct Mmr {
    /// How much nearness to the query counts.
    pub(crate) threshold: f64,
    /// What a result must be far from.
    pub(crate) penalty: MmrPenalty,
}

/// A node that was not picked so far.
struct Candidate {
    at: usize,
    /// To the query.
    similarity: Approximation,
    /// To what was picked; to the most similar of all that were, if they all count.
    overlap: Option<Approximation>,
    /// The true one to the first so many of what was picked and counts.
    compared: (usize, f64),
}

/// Compared with nothing so far.
const NOTHING: (usize, f64) = (0, f64::NEG_INFINITY);

/// What similarities are measured to.
struct Probes<'a> {
    state: &'a State,
    query: Probe,
    /// What was picked and counts.
    picked: Vec<Probe>,
    /// How many similarities were found, true ones and approximations.
    #[cfg(test)]
    comparisons: std::cell::Cell<usize>,
}

impl<'a> Probes<'a> {
    fn new(state: &'a State, embedding: &[f64]) -> Self {
        Self {
            state,
            query: Probe::new(embedding),
            picked: Vec::new(),
            #[cfg(test)]
            comparisons: Default::default(),
        }
    }

    fn about(&self, at: usize, probe: &Probe) -> Approximation {
        let mode = self.state.similarity;
        let Some(approximation) = self.state.vectors.approximation(at, probe, mode) else {
            return self.exact(at, probe);
        };
        #[cfg(test)]
        self.comparisons.update(|n| n + 1);
        approximation
    }

    fn exact(&self, at: usize, probe: &Probe) -> Approximation {
        #[cfg(test)]
        self.comparisons.update(|n| n + 1);
        Approximation { value: self.state.vectors.similarity(at, probe, self.state.similarity), error: 0.0 }
    }

    /// Finds the true similarities of a candidate.
    fn refine(&self, candidate: &mut Candidate) {
        if candidate.similarity.error > 0.0 {
            candidate.similarity = self.exact(candidate.at, &self.query);
        }
        if candidate.overlap.is_some_and(|overlap| overlap.error > 0.0) {
            let (count, overlap) = candidate.compared;
            let new = self.picked[count..].iter().map(|probe| self.exact(candidate.at, probe).value);
            let overlap = new.fold(overlap, f64::max);
            candidate.compared = (self.picked.len(), overlap);
            candidate.overlap = Some(Approximation { value: overlap, error: 0.0 });
        }
    }
}

/// The greater of two, off by no more than either may be.
fn greater(a: Approximation, b: Approximation) -> Approximation {
    Approximation { value: a.value.max(b.value), error: a.error.max(b.error) }
}

impl Mmr {
    /// Picks one candidate after the other, the first of those with the greatest score. Those without a score come
    /// last, in order. Takes at most twice as many comparisons of embeddings as there are candidates, for each that is
    /// picked.
    pub(crate) fn pick(
        &self,
        state: &State,
        candidates: &[usize],
        embedding: &[f64],
        limit: usize,
    ) -> Vec<(usize, f64)> {
        self.pick_by(&mut Probes::new(state, embedding), candidates, limit)
    }

    fn pick_by(&self, probes: &mut Probes<'_>, candidates: &[usize], limit: usize) -> Vec<(usize, f64)> {
        let candidate =
            |&at| Candidate { at, similarity: probes.about(at, &probes.query), overlap: None, compared: NOTHING };
        let all = candidates.iter().map(candidate);
        let (mut rest, mut undefined): (Vec<_>, Vec<_>) =
            all.partition(|candidate| candidate.similarity.value.is_finite());
        let mut picks = Vec::new();
        while picks.len() < limit
            && let Some((best, score)) = self.best(&mut rest, probes)
        {
            // In order, since of equal scores the first wins.
            let Candidate { at, .. } = rest.remove(best);
            picks.push((at, score));
            if picks.len() == limit || rest.is_empty() {
                break;
            }
            if self.penalty == MmrPenalty::LastPick {
                probes.picked.clear();
            }
            probes.picked.push(Probe::new(&probes.state.vectors.numbers_at(at).unwrap_or_default()));
            let last = probes.picked.last().unwrap_or(&probes.query);
            for candidate in &mut rest {
                let overlap = probes.about(candidate.at, last);
                let before = candidate.overlap.filter(|_| self.penalty == MmrPenalty::AllPicks);
                candidate.overlap = Some(before.map_or(overlap, |before| greater(before, overlap)));
                if before.is_none() {
                    candidate.compared = NOTHING;
                }
            }
        }
        undefined.append(&mut rest);
        undefined.sort_by_key(|candidate| candidate.at);
        let left = limit - picks.len();
        picks.extend(undefined.into_iter().take(left).map(|candidate| (candidate.at, f64::NAN)));
        picks
    }

    /// The place of the first with the greatest score. True similarities are found only where they can matter.
    fn best(&self, rest: &mut [Candidate], probes: &Probes<'_>) -> Option<(usize, f64)> {
        let least = |candidate: &Candidate| self.score(candidate).value - self.score(candidate).error;
        let floor = rest.iter().map(least).filter(|least| least.is_finite()).fold(f64::NEG_INFINITY, f64::max);
        let mut best = None;
        let mut greatest = f64::NEG_INFINITY;
        for (i, candidate) in rest.iter_mut().enumerate() {
            let about = self.score(candidate);
            if about.value + about.error < floor {
                continue;
            }
            probes.refine(candidate);
            let score = self.score(candidate).value;
            if score.is_finite() && score > greatest {
                greatest = score;
                best = Some((i, score));
            }
        }
        best
    }

    fn score(&self, candidate: &Candidate) -> Approximation {
        let (t, rest) = (self.threshold, 1.0 - self.threshold);
        let penalty = candidate.overlap.unwrap_or(Approximation { value: 0.0, error: 0.0 });
        Approximation {
            value: t * candidate.similarity.value - rest * penalty.value,
            error: t.abs() * candidate.similarity.error + rest.abs() * penalty.error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies score the same, so that the true similarities of all that is left are asked for at each pick.
    #[test]
    fn copies_are_not_compared_with_every_pick_each_time() {
        const COUNT: usize = 100;
        let mut state = State::default();
        for at in 0..COUNT {
            state.vectors.set(at.to_string().as_str().into(), &[0.1; 64]);
        }
        let candidates: Vec<usize> = (0..COUNT).collect();
        let mut probes = Probes::new(&state, &[0.2; 64]);
        let mmr = Mmr { threshold: 0.5, penalty: MmrPenalty::AllPicks };
        let picks = mmr.pick_by(&mut probes, &candidates, COUNT);
        assert!(picks.iter().map(|(at, _)| *at).eq(candidates));
        // Each with the query, and with each that was picked before it.
        let pairs = COUNT + COUNT * (COUNT - 1) / 2;
        // An approximation and the true similarity of each pair.
        assert_eq!(probes.comparisons.get(), 2 * pairs);
    }
}
