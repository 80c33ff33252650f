//! Maximal marginal relevance.

use vectorstore::MmrPenalty;

use crate::matrix::Probe;
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
    similarity: f64,
    /// To what was picked.
    overlap: Option<f64>,
}

impl Mmr {
    /// Picks one candidate after the other, the first of those with the greatest score. Those without a score come last,
    /// in order. Takes as many comparisons of embeddings as there are candidates, for each that is picked.
    pub(crate) fn pick(
        &self,
        state: &State,
        candidates: &[usize],
        embedding: &[f64],
        limit: usize,
    ) -> Vec<(usize, f64)> {
        let similarity = |at, probe: &Probe| state.vectors.similarity(at, probe, state.similarity);
        let query = Probe::new(embedding);
        let all = candidates.iter().map(|&at| Candidate { at, similarity: similarity(at, &query), overlap: None });
        let (mut rest, mut undefined): (Vec<_>, Vec<_>) = all.partition(|candidate| candidate.similarity.is_finite());
        let mut picked = Vec::new();
        while picked.len() < limit
            && let Some((best, score)) = self.best(&rest)
        {
            // In order, since of equal scores the first wins.
            let Candidate { at, .. } = rest.remove(best);
            picked.push((at, score));
            if picked.len() == limit || rest.is_empty() {
                break;
            }
            let probe = Probe::new(&state.vectors.numbers_at(at).unwrap_or_default());
            for candidate in &mut rest {
                let overlap = similarity(candidate.at, &probe);
                candidate.overlap = Some(match (self.penalty, candidate.overlap) {
                    (MmrPenalty::AllPicks, Some(before)) => overlap.max(before),
                    _ => overlap,
                });
            }
        }
        undefined.append(&mut rest);
        undefined.sort_by_key(|candidate| candidate.at);
        let left = limit - picked.len();
        picked.extend(undefined.into_iter().take(left).map(|candidate| (candidate.at, f64::NAN)));
        picked
    }

    fn best(&self, rest: &[Candidate]) -> Option<(usize, f64)> {
        let mut best = None;
        let mut greatest = f64::NEG_INFINITY;
        for (i, candidate) in rest.iter().enumerate() {
            let penalty = candidate.overlap.map_or(0.0, |overlap| (1.0 - self.threshold) * overlap);
            let score = self.threshold * candidate.similarity - penalty;
            if score > greatest {
                greatest = score;
                best = Some((i, score));
            }
        }
        best
    }
}
