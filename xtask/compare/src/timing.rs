//! Times of several things that take turns, so that a slow moment of the machine meets all of them.

use std::time::{Duration, Instant};

use anyhow::Result;

/// How often work is measured, and how often if it takes longer than [`SLOW`]. Both are odd, so that there is a median.
const ROUNDS: usize = 7;
const SLOW_ROUNDS: usize = 3;

const SLOW: Duration = Duration::from_secs(3);

/// Something to measure: it returns what it took, without its preparation.
pub(crate) type Work<'a> = Box<dyn FnMut() -> Result<Duration> + 'a>;

/// Measures a function that needs no preparation.
pub(crate) fn timed<T>(mut work: impl FnMut() -> Result<T>) -> impl FnMut() -> Result<Duration> {
    move || {
        let start = Instant::now();
        let done = work()?;
        let time = start.elapsed();
        // What is thrown away is not part of the work.
        drop(done);
        Ok(time)
    }
}

/// Lets all take turns, and returns the median of each. The first round of what is not slow only warms up.
pub(crate) fn in_turn<const N: usize>(mut works: [Work<'_>; N]) -> Result<[Duration; N]> {
    let mut times: [Vec<Duration>; N] = std::array::from_fn(|_| Vec::new());
    let is_slow = |times: &Vec<Duration>| times.first().is_some_and(|first| *first > SLOW);
    for round in 0..=ROUNDS {
        for (work, times) in works.iter_mut().zip(&mut times) {
            if round < SLOW_ROUNDS || !is_slow(times) {
                times.push(work()?);
            }
        }
    }
    Ok(times.map(|mut times| {
        if !is_slow(&times) {
            times.remove(0);
        }
        times.sort_unstable();
        times[times.len() / 2]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slow_is_measured_three_times_and_the_rest_is_warmed_up() {
        let (mut quick, mut slow) = (0, 0);
        let [a, b] = in_turn([
            Box::new(|| {
                quick += 1;
                Ok(Duration::from_secs(if quick == 1 { 2 } else { 0 }))
            }),
            Box::new(|| {
                slow += 1;
                Ok(Duration::from_secs(60 + slow))
            }),
        ])
        .unwrap();
        assert_eq!((a, b), (Duration::ZERO, Duration::from_secs(62)));
        assert_eq!((quick, slow), (ROUNDS + 1, SLOW_ROUNDS as u64));
    }
}
