//! The faults, each with the situations in which it is tried.

mod conditions;
mod held;
mod kills;
mod network;
mod races;
mod readers;
mod restarts;

use crate::s3::Remote;
use crate::state::{self, State};
use crate::table::Row;

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What random choices start from.
    pub seed: u64,
    /// How often what is repeated is repeated.
    pub rounds: usize,
    /// Of so many requests one is tried; of one, every one.
    pub one_in: u64,
}

impl Plan {
    /// Whether a fault is tried on this request: on all, or on some that the seed chooses.
    fn tries(&self, situation: usize, request: usize) -> bool {
        random(self.seed, (situation * 1000 + request) as u64).is_multiple_of(self.one_in)
    }
}

/// Tries everything whose name has `only` in it, and tells each row when it is done.
pub async fn run(plan: Plan, only: &str, mut tell: impl FnMut(&Row)) {
    macro_rules! rows {
        ($($name:literal: $rows:expr;)*) => {
            $(if $name.contains(only) {
                $rows.await.iter().for_each(&mut tell);
            })*
        };
    }
    rows! {
        "races": races::rows(plan);
        "kills": kills::rows(plan);
        "moments": kills::at_random_moments(plan);
        "late": held::late(plan);
        "pauses": held::pauses(plan);
        "readers": readers::rows(plan);
        "network": network::rows(plan);
        "conditions": conditions::rows();
        "restarts": restarts::rows(plan);
    }
}

/// What a place is like before something happens to its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Empty,
    Python,
    Published,
    Pending,
    Large,
}

impl Start {
    const ALL: [Self; 5] = [Self::Empty, Self::Python, Self::Published, Self::Pending, Self::Large];

    /// A place that is like this, the state that it has, and the one that is to be written.
    async fn make(self) -> (Remote, Option<State>, State) {
        let remote = Remote::new();
        let place = remote.place();
        let [first, old, new] = [1, 2, 3].map(|round| State::new(round, "start"));
        match self {
            Self::Empty => return (remote, None, new),
            Self::Python => old.write_plainly(&remote.operator()).await,
            Self::Published | Self::Large => state::commit(&place, &old).await.unwrap(),
            Self::Pending => {
                state::commit(&place, &first).await.unwrap();
                kills::stop_after_the_commit(&remote, &old).await;
            }
        }
        (remote, Some(old), if self == Self::Large { new.large() } else { new })
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Empty => "an empty prefix",
            Self::Python => "files that Python wrote",
            Self::Published => "a generation that is published",
            Self::Pending => "a generation that is published in part",
            Self::Large => "a generation that is published; a file of two parts is written",
        }
    }
}

/// Demands that a reader finds one of two states, that a commit of nothing shows it to others too, and that the next
/// commit works.
async fn survives(remote: &Remote, old: Option<&State>, new: &State) -> Result<(), String> {
    let place = remote.place();
    let found = state::read(&place).await.map_err(|e| format!("cannot be read: {e}"))?;
    if found.as_ref() != old && found.as_ref() != Some(new) {
        return Err(format!("holds {found:?}"));
    }
    state::commit_nothing(&place).await.map_err(cannot_be_written)?;
    finds(remote, found).await.map_err(|e| format!("after a commit of nothing {e}"))?;
    goes_on(remote).await
}

/// Demands that the next commit works, for readers of ours and for others.
async fn goes_on(remote: &Remote) -> Result<(), String> {
    let next = State::new(5, "next");
    state::commit(&remote.place(), &next).await.map_err(cannot_be_written)?;
    finds(remote, Some(next)).await.map_err(|e| format!("after the next commit {e}"))
}

/// Demands that this is there, for readers of ours and for others.
async fn finds(remote: &Remote, expected: Option<State>) -> Result<(), String> {
    let place = remote.place();
    let [ours, theirs] = [state::read(&place).await, state::read_plainly(&place).await];
    for (who, found) in [("a reader of ours", ours), ("Python", theirs)] {
        if found.as_ref() != Ok(&expected) {
            return Err(format!("{who} finds {found:?} and not {expected:?}"));
        }
    }
    Ok(())
}

fn cannot_be_written(error: persist::Error) -> String {
    format!("cannot be written: {}", state::described(&error))
}

/// A number that follows from two others (SplitMix64).
fn random(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
