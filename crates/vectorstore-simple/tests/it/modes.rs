//! Maximal marginal relevance and learners, and metrics other than the cosine, against plain arithmetic and recorded
//! answers.

use super::*;
use proptest::prelude::*;
use raw_json::shortest_f32;
use vectorstore::{Learner, MmrPenalty, VectorStoreQueryMode};
use vectorstore_simple::SimilarityMode;

fn store_of(rows: &[Vec<f64>], mode: SimilarityMode) -> SimpleVectorStore {
    let store = SimpleVectorStore::from_dict(&dict_of(rows)).unwrap();
    store.set_similarity_mode(mode);
    store
}

fn similarity(mode: SimilarityMode, a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    match mode {
        SimilarityMode::DotProduct => dot(a, b),
        SimilarityMode::Euclidean => -a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt(),
        _ => dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()),
    }
}

/// Checks hits one by one: each must be as good as any that is left, by the definition.
fn check_mmr(
    rows: &[Vec<f64>],
    query: &VectorStoreQuery,
    mode: SimilarityMode,
    hits: &[(PyString, f64)],
) -> Result<(), TestCaseError> {
    let embedding = query.query_embedding.as_ref().unwrap();
    let t = query.mmr_threshold.unwrap_or(0.5);
    let mut picked: Vec<usize> = Vec::new();
    for (id, told) in hits {
        let score = |i: usize| {
            let mut overlaps = picked.iter().map(|&p| similarity(mode, &rows[i], &rows[p]));
            let penalty = match query.mmr_penalty {
                MmrPenalty::AllPicks => overlaps.reduce(f64::max),
                _ => overlaps.next_back(),
            };
            t * similarity(mode, &rows[i], embedding) - penalty.map_or(0.0, |overlap| (1.0 - t) * overlap)
        };
        let this: usize = id.to_string().parse().unwrap();
        let left = (0..rows.len()).filter(|i| !picked.contains(i));
        let best = left.clone().map(score).fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(left.clone().any(|i| i == this), "{id} twice");
        prop_assert!((score(this) - best).abs() < 1e-9 && (told - best).abs() < 1e-9, "{id}: {told}, best {best}");
        // Copies score the same, to the bit, and then the first wins.
        let copy = left.clone().find(|&i| rows[i] == rows[this]);
        prop_assert_eq!(copy, Some(this));
        picked.push(this);
    }
    Ok(())
}

fn any_mode() -> impl Strategy<Value = SimilarityMode> {
    prop::sample::select(&SimilarityMode::ALL[..])
}

proptest! {
    #[test]
    fn mmr_picks_by_its_definition(
        mut rows in (1..6_usize).prop_flat_map(|dim| {
            prop::collection::vec(prop::collection::vec(-2.0..2.0_f64, dim), 1..20)
        }),
        copies in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        singles in any::<bool>(),
        threshold in prop_oneof![Just(None), Just(Some(0.0)), Just(Some(1.0)), (0.0..1.0).prop_map(Some)],
        all_picks in any::<bool>(),
        top_k in -1..25_i64,
        mode in any_mode(),
    ) {
        rows.iter_mut().flatten().for_each(|x| *x = if singles { shortest_f32(*x as f32) } else { *x });
        for copy in copies {
            let row = copy.get(&rows).clone();
            rows.push(row);
        }
        let embedding: Vec<f64> = rows[0].iter().map(|x| x + 0.5).collect();
        let penalty = if all_picks { MmrPenalty::AllPicks } else { MmrPenalty::LastPick };
        let query = VectorStoreQuery::new(embedding).with_mode(VectorStoreQueryMode::Mmr).with_top_k(top_k)
            .with_mmr_threshold(threshold).with_mmr_penalty(penalty);
        let hits = search(&store_of(&rows, mode), &query);
        let expected = if top_k < 0 { 0 } else if top_k == 0 { rows.len() } else { rows.len().min(top_k as usize) };
        prop_assert_eq!(hits.len(), expected);
        check_mmr(&rows, &query, mode, &hits)?;
    }

    #[test]
    fn every_metric_ranks_by_its_definition(
        rows in (1..20_usize).prop_flat_map(|dim| {
            prop::collection::vec(prop::collection::vec(-2.0..2.0_f64, dim), 1..40)
        }),
        singles in any::<bool>(),
        top_k in 1..10_usize,
        mode in any_mode(),
    ) {
        let round = |x: &f64| if singles { shortest_f32(*x as f32) } else { *x };
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(round).collect()).collect();
        let embedding: Vec<f64> = rows[rows.len() / 2].iter().map(|x| x * 1.5 - 0.25).collect();
        let hits = search(&store_of(&rows, mode), &VectorStoreQuery::new(embedding.clone()).with_top_k(top_k as i64));
        let mut scores: Vec<f64> = rows.iter().map(|row| similarity(mode, row, &embedding)).collect();
        for (id, told) in &hits {
            let i: usize = id.to_string().parse().unwrap();
            prop_assert!((scores[i] - told).abs() < 1e-12 * told.abs().max(1.0));
        }
        scores.sort_by(|a, b| b.total_cmp(a));
        prop_assert_eq!(hits.len(), top_k.min(rows.len()));
        for ((_, told), best) in hits.iter().zip(&scores) {
            prop_assert!((told - best).abs() < 1e-12 * best.abs().max(1.0));
        }
    }
}

#[test]
fn the_two_kinds_of_mmr_differ() {
    let rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.01], [1.0, 0.6]].map(|row| row.to_vec());
    let store = store_of(&rows, SimilarityMode::Cosine);
    let query = VectorStoreQuery::new([1.0, 0.2]).with_mode(VectorStoreQueryMode::Mmr).with_top_k(3);
    let ids = |query: &VectorStoreQuery| search(&store, query).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    // With the second pick LlamaIndex has forgotten the first, and takes what is nearly the same.
    assert_eq!(ids(&query), ["2", "1", "0"]);
    assert_eq!(ids(&query.with_mmr_penalty(MmrPenalty::AllPicks)), ["2", "1", "3"]);
}

#[test]
fn what_has_no_direction_never_wins() {
    let store = load(
        r#"{"embedding_dict": {"zero": [0.0, 0.0], "nan": [NaN, 1.0], "inf": [Infinity, 0.0],
                               "a": [-1.0, -1.0], "b": [-3.0, 0.5]}}"#,
    );
    let query = VectorStoreQuery::new([1.0, 0.5]);
    for mode in SimilarityMode::ALL {
        store.set_similarity_mode(mode);
        for query_mode in [
            VectorStoreQueryMode::Default,
            VectorStoreQueryMode::Mmr,
            VectorStoreQueryMode::Svm,
            VectorStoreQueryMode::LinearRegression,
            VectorStoreQueryMode::LogisticRegression,
        ] {
            let hits = search(&store, &query.clone().with_mode(query_mode).with_top_k(None));
            let (defined, rest) = hits.split_at(2);
            assert!(defined.iter().all(|(id, score)| (*id == "a" || *id == "b") && score.is_finite()), "{hits:?}");
            let rest: Vec<_> = rest.iter().map(|(id, score)| (id.to_string(), score.is_nan())).collect();
            assert_eq!(rest, ["zero", "nan", "inf"].map(|id| (id.to_owned(), true)), "{mode} {query_mode}");
            let first = search(&store, &query.clone().with_mode(query_mode));
            assert!(first[0].1.is_finite());
        }
    }
    let cut = query.with_top_k(None).with_similarity_cutoff(-10.0);
    assert_eq!(search(&store, &cut).len(), 2);
}

#[test]
fn how_embeddings_are_compared_is_kept_with_them() {
    let rows = [vec![10.0, 0.0], vec![0.9, 0.1]];
    let store = store_of(&rows, SimilarityMode::Cosine);
    let file = dump(&store);
    assert!(!file.contains("similarity_mode"));
    let nearest = |store: &SimpleVectorStore| search(store, &VectorStoreQuery::new([1.0, 0.1]))[0].0.to_string();
    assert_eq!(nearest(&store), "1");
    let before = revision(&store);
    store.set_similarity_mode(SimilarityMode::Cosine);
    assert_eq!(revision(&store), before);
    for (mode, name, expected) in
        [(SimilarityMode::DotProduct, "dot_product", "0"), (SimilarityMode::Euclidean, "euclidean", "1")]
    {
        store.set_similarity_mode(mode);
        assert!(revision(&store) != before);
        assert_eq!(parse(&dump(&store)), store.to_dict());
        assert_eq!(store.to_dict().get("similarity_mode"), Some(&Value::from(name)));
        assert!(store.python_problem().unwrap().contains(name));
        let again = load(&dump(&store));
        assert_eq!((again.similarity_mode(), nearest(&again).as_str()), (mode, expected));
        block_on(again.clear()).unwrap();
        assert_eq!(again.similarity_mode(), mode);
    }
    store.set_similarity_mode(SimilarityMode::Cosine);
    assert_eq!((dump(&store), store.python_problem()), (file, None));
    for unknown in ["\"manhattan\"", "null", "1"] {
        let text = format!(r#"{{"similarity_mode": {unknown}}}"#);
        let failed = SimpleVectorStore::from_text(&Text::from(text.as_str())).unwrap_err().to_string();
        assert!(failed.contains(r#"expected "cosine", "dot_product" or "euclidean" at line 1 column 21"#), "{failed}");
    }
}

/// Answers of scikit-learn; of the logistic regression at its minimum.
struct Recorded {
    query: &'static [f64],
    rows: &'static [&'static [f64]],
    svm: &'static [f64],
    logistic: &'static [f64],
    linear: &'static [f64],
}

const RECORDED: &[Recorded] = &[
    Recorded {
        query: &[-0.8, -1.32, -0.25, 0.42],
        rows: &[
            &[1.14, 0.11, -0.55, -0.78],
            &[0.75, 1.63, 0.27, -1.23],
            &[-0.96, 1.6, 0.2, -1.73],
            &[-0.08, -1.16, -0.63, -0.49],
            &[-0.71, 0.55, -0.06, -0.59],
        ],
        svm: &[-0.540173, -0.984175, -0.832408, 0.106403, -0.253410],
        logistic: &[-1.640720, -2.864448, -2.406478, 0.096284, -0.918092],
        linear: &[-0.168982, 0.098210, -0.151039, 0.186048, 0.194220],
    },
    Recorded {
        query: &[0.41, 0.83, -1.64],
        rows: &[
            &[-0.26, -0.98, -0.17],
            &[-1.29, 0.02, -0.04],
            &[-0.3, -1.05, -0.4],
            &[-1.09, -1.36, 0.22],
            &[-1.11, 1.17, 0.72],
            &[-2.0, 0.27, -1.1],
            &[0.03, 0.04, -1.99],
            &[-0.23, -0.26, 0.96],
            &[-1.18, 0.74, -1.1],
        ],
        svm: &[-0.506125, -0.719600, -0.491554, -1.076184, -0.488035, -0.728813, 0.325152, -0.547203, -0.226651],
        logistic: &[-1.798287, -2.167194, -1.723606, -3.225906, -1.652617, -1.914024, 0.631132, -2.043006, -0.714539],
        linear: &[0.053170, -0.049549, 0.050179, -0.212156, 0.097497, -0.102683, 0.382375, 0.082194, 0.146277],
    },
    Recorded {
        query: &[-0.33, -0.84],
        rows: &[&[1.45, 0.57]],
        svm: &[-0.402961],
        logistic: &[-0.799564],
        linear: &[0.0],
    },
    Recorded {
        query: &[2.43, 0.64],
        rows: &[
            &[0.84, 0.84],
            &[-0.61, -0.07],
            &[-0.61, -0.07],
            &[0.19, -0.02],
            &[2.43, 0.64],
            &[-0.15, 0.24],
            &[0.1, -0.86],
            &[0.9, -1.3],
            &[-1.2, -1.28],
            &[0.97, -0.36],
            &[-0.97, -1.14],
            &[0.42, -1.05],
        ],
        svm: &[
            0.151316, -0.609649, -0.609649, -0.308374, 0.671582, -0.362650, -0.561105, -0.388345, -1.139524, -0.116590,
            -1.019959, -0.495673,
        ],
        logistic: &[
            -0.534558, -3.024248, -3.024248, -1.903157, 1.526374, -2.222511, -2.495373, -1.648004, -4.506375,
            -1.027256, -4.113886, -2.164246,
        ],
        linear: &[
            0.172216, -0.029293, -0.029293, 0.066026, 0.351160, 0.035382, 0.026033, 0.104163, -0.140743, 0.145325,
            -0.108932, 0.056794,
        ],
    },
];

#[test]
fn learners_answer_as_scikit_learn() {
    for Recorded { query, rows, svm, logistic, linear } in RECORDED {
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| row.to_vec()).collect();
        let store = store_of(&rows, SimilarityMode::Cosine);
        let query = VectorStoreQuery::new(*query).with_top_k(None);
        for (mode, learner, expected) in [
            (VectorStoreQueryMode::Svm, Learner::AsNamed, svm),
            (VectorStoreQueryMode::LogisticRegression, Learner::AsNamed, logistic),
            (VectorStoreQueryMode::LinearRegression, Learner::AsNamed, linear),
            (VectorStoreQueryMode::LogisticRegression, Learner::AlwaysSvm, svm),
            (VectorStoreQueryMode::LinearRegression, Learner::AlwaysSvm, svm),
        ] {
            let hits = search(&store, &query.clone().with_mode(mode).with_learner(learner));
            assert_eq!(hits.len(), rows.len());
            assert!(hits.is_sorted_by(|a, b| a.1 >= b.1));
            for (id, score) in hits {
                let i: usize = id.to_string().parse().unwrap();
                assert!(
                    (score - expected[i]).abs() < 2e-6,
                    "{mode} {learner:?}: node {i}: {score}, not {}",
                    expected[i]
                );
            }
        }
    }
}

#[test]
fn learners_cut_their_results_as_a_slice() {
    let store = store_of(&[vec![1.0, 0.0], vec![0.0, 1.0], vec![1.0, 1.0]], SimilarityMode::Cosine);
    let query = VectorStoreQuery::new([1.0, 0.2]).with_mode(VectorStoreQueryMode::Svm);
    for (top_k, expected) in
        [(None, 3), (Some(0), 0), (Some(2), 2), (Some(9), 3), (Some(-1), 2), (Some(-3), 0), (Some(i64::MIN), 0)]
    {
        assert_eq!(search(&store, &query.clone().with_top_k(top_k)).len(), expected, "{top_k:?}");
    }
    let empty = SimpleVectorStore::new();
    assert!(search(&empty, &query).is_empty());
}

#[test]
fn learners_end_on_numbers_of_any_size() {
    let sizes = [1e-300, 1e-30, 1e30, 1e150, 1e300];
    let rows: Vec<Vec<f64>> = sizes.iter().flat_map(|x| [vec![*x, 1.0], vec![1.0, -x], vec![*x, *x]]).collect();
    let store = store_of(&rows, SimilarityMode::Cosine);
    for mode in
        [VectorStoreQueryMode::Svm, VectorStoreQueryMode::LinearRegression, VectorStoreQueryMode::LogisticRegression]
    {
        for query in [[1.0, 0.0], [1e300, 1e300], [f64::NAN, 0.0]] {
            let hits = search(&store, &VectorStoreQuery::new(query).with_mode(mode).with_top_k(None));
            assert_eq!(hits.len(), rows.len());
        }
    }
}

#[test]
fn what_is_too_long_for_a_learner_comes_last() {
    let near: Vec<Vec<f64>> = (0..5).map(|i| vec![f64::from(i).cos(), f64::from(i).sin()]).collect();
    let with = |far: f64| store_of(&[near.clone(), vec![vec![far, -far]]].concat(), SimilarityMode::Cosine);
    for mode in
        [VectorStoreQueryMode::Svm, VectorStoreQueryMode::LinearRegression, VectorStoreQueryMode::LogisticRegression]
    {
        let query = VectorStoreQuery::new([0.9, 0.8]).with_mode(mode).with_top_k(None);
        let expected = search(&store_of(&near, SimilarityMode::Cosine), &query);
        for far in [1e100, 1e200] {
            let hits = search(&with(far), &query);
            assert_eq!(hits[..5], expected, "{mode}");
            assert!(hits[5].0 == "5" && hits[5].1.is_nan(), "{mode}");
        }
        for query in [[1e100, 0.0], [1e300, 1e300], [f64::NAN, 0.0], [0.0, f64::INFINITY]] {
            let hits = search(&with(1.0), &VectorStoreQuery::new(query).with_mode(mode).with_top_k(None));
            assert!(hits.len() == 6 && hits.iter().all(|(_, score)| score.is_nan()), "{mode} {query:?}: {hits:?}");
        }
    }
}

#[test]
fn copies_are_picked_in_order() {
    let store = store_of(&vec![vec![0.1; 64]; 500], SimilarityMode::Cosine);
    let query = VectorStoreQuery::new([0.2; 64]).with_mode(VectorStoreQueryMode::Mmr).with_top_k(0);
    let hits = search(&store, &query.with_mmr_penalty(MmrPenalty::AllPicks));
    assert!(hits.iter().enumerate().all(|(i, (id, _))| *id == *i.to_string()));
    assert_eq!(hits.len(), 500);
}

#[test]
fn a_score_beyond_all_doubles_never_wins() {
    let rows = [[1e200, 1e200], [-1e200, -1e200], [1.0, 1.0], [-1.0, 2.0]].map(|row| row.to_vec());
    let query = VectorStoreQuery::new([1.0, 0.3]).with_mode(VectorStoreQueryMode::Mmr).with_top_k(0);
    for penalty in [MmrPenalty::LastPick, MmrPenalty::AllPicks] {
        let query = query.clone().with_mmr_penalty(penalty).with_mmr_threshold(0.0);
        let hits = search(&store_of(&rows, SimilarityMode::DotProduct), &query);
        let ids: Vec<_> = hits.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!((hits.len(), ids[0].as_str()), (4, "0"));
        assert!(hits.iter().all(|(_, score)| !score.is_infinite()), "{hits:?}");
        assert!(hits.is_sorted_by_key(|(_, score)| score.is_nan()), "{hits:?}");
    }
}
