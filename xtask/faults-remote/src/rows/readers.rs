use super::Plan;
use crate::s3::Remote;
use crate::state::{State, commit, described, read};
use crate::table::Row;

/// Readers that look again and again while a writer commits round after round.
pub(super) async fn rows(plan: Plan) -> Vec<Row> {
    let mut row = Row::new("readers read while a writer commits", "a generation that is being published");
    let remote = Remote::new();
    commit(&remote.place(), &State::new(0, "one")).await.unwrap();
    let rounds = 4 * plan.rounds as u64;
    let writer = tokio::spawn({
        let place = remote.place();
        async move {
            for round in 1..=rounds {
                commit(&place, &State::new(round, "one")).await.map_err(|e| described(&e))?;
            }
            Ok::<(), String>(())
        }
    });
    let (first, second) = tokio::join!(watch(&remote, rounds), watch(&remote, rounds));
    for (n, outcome) in first.into_iter().chain(second).enumerate() {
        row.count(format!("look {n}"), outcome);
    }
    row.count("the writer", writer.await.unwrap());
    vec![row]
}

/// What a reader sees until the last round: whole states, and never an older one after a newer one.
async fn watch(remote: &Remote, last: u64) -> Vec<Result<(), String>> {
    let (place, mut newest, mut seen) = (remote.place(), 0, Vec::new());
    while newest < last {
        seen.push(match read(&place).await {
            Ok(Some(state)) if state.round() >= newest => {
                newest = state.round();
                Ok(())
            }
            Ok(found) => Err(format!("after round {newest} there is {found:?}")),
            Err(e) => Err(e),
        });
        if seen.iter().filter(|look| look.is_err()).count() > 10 {
            break;
        }
    }
    seen
}
