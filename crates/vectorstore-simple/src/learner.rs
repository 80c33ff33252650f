//! Learners that are fitted to tell the query from the nodes.
//!
//! The query is one sample, labelled 1, and every node another, labelled -1 or 0. The idea is Andrej Karpathy's ("kNN vs
//! SVM"); what is minimized is what scikit-learn minimizes with the settings that LlamaIndex gives it.

/// What is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// `LinearSVC(class_weight="balanced", C=0.1)`, at its minimum: squared hinge loss, the intercept among what is kept
    /// small.
    Svm,
    /// `LogisticRegression(class_weight="balanced")`, at its minimum; scikit-learn stops a little before.
    Logistic,
    /// `LinearRegression()`.
    Linear,
}

/// Whether a learner can be fitted to an embedding: its numbers are finite, and products of four lengths like its own
/// are too.
pub(crate) fn takes(embedding: &[f64]) -> bool {
    const LENGTH_MAX: f64 = 1e60;
    norm(embedding) <= LENGTH_MAX
}

/// What the fitted learner says of each node, whose embeddings it [`takes`]; not a number if it does not take the
/// query's. Takes as much memory as the rows.
pub(crate) fn scores(fit: Fit, query: &[f64], rows: &[Vec<f64>]) -> Vec<f64> {
    if rows.is_empty() || !takes(query) {
        return vec![f64::NAN; rows.len()];
    }
    match fit {
        Fit::Linear => projections(query, rows),
        Fit::Svm => Problem { query, rows, loss: Loss::SquaredHinge, cost: 0.1, intercept_counts: 1.0 }.scores(),
        Fit::Logistic => Problem { query, rows, loss: Loss::Logistic, cost: 1.0, intercept_counts: 0.0 }.scores(),
    }
}

#[derive(Debug, Clone, Copy)]
enum Loss {
    SquaredHinge,
    Logistic,
}

impl Loss {
    /// The loss for a score, times its label; its first derivative, and its second.
    fn at(self, margin: f64) -> [f64; 3] {
        match self {
            Self::SquaredHinge if margin >= 1.0 => [0.0; 3],
            Self::SquaredHinge => [(1.0 - margin) * (1.0 - margin), 2.0 * (margin - 1.0), 2.0],
            Self::Logistic => {
                let tail = (-margin.abs()).exp();
                let value = tail.ln_1p() + (-margin).max(0.0);
                let miss = if margin > 0.0 { tail / (1.0 + tail) } else { 1.0 / (1.0 + tail) };
                [value, -miss, miss * (1.0 - miss)]
            }
        }
    }
}

/// To be minimized: half the square of the weights' norm (and of the intercept, as far as it counts), plus the weighted
/// losses of all samples. Both classes weigh the same, so the query weighs as much as all nodes.
struct Problem<'a> {
    query: &'a [f64],
    rows: &'a [Vec<f64>],
    loss: Loss,
    cost: f64,
    intercept_counts: f64,
}

/// The most steps that Newton's method takes. A dozen are usual.
const STEPS_MAX: usize = 200;
/// The gradient counts as zero when it has become this much smaller than it was.
const GRADIENT: f64 = 1e-11;
/// How exactly each step's equations are solved.
const RESIDUAL: f64 = 1e-9;
/// The part of the promised decrease that a step must bring about.
const DECREASE: f64 = 1e-4;

impl Problem<'_> {
    /// Newton's method with conjugate gradients for the steps, which is how Lin, Weng and Keerthi train large linear
    /// learners ("Trust Region Newton Method for Large-Scale Logistic Regression", 2008); here with a line search in
    /// place of the trust region. The objective is strictly convex, so there is one minimum.
    fn scores(&self) -> Vec<f64> {
        let dim = self.query.len();
        // The last of the weights is the intercept.
        let mut weights = vec![0.0; dim + 1];
        let mut state = self.evaluate(&weights);
        let start = norm(&state.gradient);
        for _ in 0..STEPS_MAX {
            let size = norm(&state.gradient);
            if !size.is_finite() || size <= GRADIENT * start {
                break;
            }
            let step = self.newton_step(&state);
            let slope = dot(&state.gradient, &step);
            let moved = |length: f64| weights.iter().zip(&step).map(|(w, s)| w + length * s).collect::<Vec<_>>();
            let enough = |length: f64, next: &Evaluation| next.value <= state.value + DECREASE * length * slope;
            let next = (0..40).map(|halvings| 0.5_f64.powi(halvings)).find_map(|length| {
                let weights = moved(length);
                let next = self.evaluate(&weights);
                enough(length, &next).then_some((weights, next))
            });
            // No shorter step helps: as near as doubles come.
            let Some(next) = next else { break };
            (weights, state) = next;
        }
        self.rows.iter().map(|row| score(&weights, row)).collect()
    }

    /// The query, then the nodes; with label and weight.
    fn samples(&self) -> impl Iterator<Item = (&[f64], f64, f64)> {
        let nodes = self.rows.len() as f64;
        let query = (self.query, 1.0, self.cost * (nodes + 1.0) / 2.0);
        let node_weight = self.cost * (nodes + 1.0) / (2.0 * nodes);
        std::iter::once(query).chain(self.rows.iter().map(move |row| (row.as_slice(), -1.0, node_weight)))
    }

    /// How much each weight counts by itself.
    fn regularized<'w>(&self, weights: &'w [f64]) -> impl Iterator<Item = f64> + use<'w> {
        let (last, intercept) = (weights.len() - 1, self.intercept_counts);
        weights.iter().enumerate().map(move |(i, w)| if i == last { intercept * w } else { *w })
    }

    fn evaluate(&self, weights: &[f64]) -> Evaluation {
        let mut gradient: Vec<f64> = self.regularized(weights).collect();
        let mut value = 0.5 * dot(&gradient, weights);
        let mut curvatures = Vec::with_capacity(self.rows.len() + 1);
        for (row, label, weight) in self.samples() {
            let [loss, slope, curvature] = self.loss.at(label * score(weights, row));
            value += weight * loss;
            add(&mut gradient, weight * slope * label, row);
            curvatures.push(weight * curvature);
        }
        Evaluation { value, gradient, curvatures }
    }

    /// Solves *H s* = −*g* by conjugate gradients, without ever forming *H*.
    fn newton_step(&self, state: &Evaluation) -> Vec<f64> {
        let mut step = vec![0.0; state.gradient.len()];
        let mut residual: Vec<f64> = state.gradient.iter().map(|g| -g).collect();
        let mut direction = residual.clone();
        let mut size = dot(&residual, &residual);
        let goal = size * RESIDUAL * RESIDUAL;
        for _ in 0..2 * step.len() {
            if size <= goal {
                break;
            }
            let curved = self.curve(state, &direction);
            let along = dot(&direction, &curved);
            if along <= 0.0 || !along.is_finite() {
                break;
            }
            let length = size / along;
            step.iter_mut().zip(&direction).for_each(|(s, d)| *s += length * d);
            residual.iter_mut().zip(&curved).for_each(|(r, c)| *r -= length * c);
            let next = dot(&residual, &residual);
            direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + next / size * *d);
            size = next;
        }
        step
    }

    /// The Hessian times a direction.
    fn curve(&self, state: &Evaluation, direction: &[f64]) -> Vec<f64> {
        let mut curved: Vec<f64> = self.regularized(direction).collect();
        for ((row, ..), curvature) in self.samples().zip(&state.curvatures) {
            if *curvature != 0.0 {
                add(&mut curved, curvature * score(direction, row), row);
            }
        }
        curved
    }
}

/// The objective at some weights.
struct Evaluation {
    value: f64,
    gradient: Vec<f64>,
    /// The second derivative of each sample's weighted loss.
    curvatures: Vec<f64>,
}

/// The weights' sum over a row, with the intercept.
fn score(weights: &[f64], row: &[f64]) -> f64 {
    dot(&weights[..row.len()], row) + weights[row.len()]
}

/// Adds a multiple of a row, and of the 1 that the intercept stands for.
fn add(to: &mut [f64], factor: f64, row: &[f64]) {
    to.iter_mut().zip(row).for_each(|(to, x)| *to += factor * x);
    to[row.len()] += factor;
}

/// The scalar product, summed up in eight lanes, since one sum would wait for itself.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

fn norm(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// Least squares: the labels, 1 for the query and 0 for the nodes, projected onto what columns of the samples and a
/// constant span. The projection is found by orthogonalizing the columns one by one, each twice (Gram and Schmidt;
/// "twice is enough", Giraud, Langou and Rozložník 2005). Columns that depend on those before them add nothing. Takes
/// time in proportion to the samples times the square of the dimensions, or of the samples if they are fewer.
fn projections(query: &[f64], rows: &[Vec<f64>]) -> Vec<f64> {
    /// What is left of a column is rounding error if it is this much smaller than the column.
    const DEPENDENT: f64 = 1e-12;
    let samples = rows.len() + 1;
    let column = |j: usize| std::iter::once(query[j]).chain(rows.iter().map(move |row| row[j])).collect::<Vec<f64>>();
    let columns = std::iter::once(vec![1.0; samples]).chain((0..query.len()).map(column));
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for mut column in columns {
        let size = norm(&column);
        for _ in 0..2 {
            for known in &basis {
                let along = dot(known, &column);
                column.iter_mut().zip(known).for_each(|(x, k)| *x -= along * k);
            }
        }
        let left = norm(&column);
        if left.is_finite() && left > DEPENDENT * size {
            column.iter_mut().for_each(|x| *x /= left);
            basis.push(column);
        }
        if basis.len() == samples {
            // They span everything: each label is met exactly.
            return vec![0.0; rows.len()];
        }
    }
    (1..samples).map(|i| basis.iter().map(|known| known[0] * known[i]).sum()).collect()
}
