use std::time::Duration;

use tokio::time::sleep;

use super::{Plan, goes_on, random};
use crate::s3::{Remote, restart_server};
use crate::state::{State, commit, described, read};
use crate::table::Row;

/// The server is killed (SIGKILL) while a writer commits, and starts again.
pub(super) async fn rows(plan: Plan) -> Vec<Row> {
    let mut row = Row::new("the server is killed and starts again", "a generation that is published");
    for n in 0..plan.rounds.div_ceil(4) {
        let remote = Remote::new();
        let place = remote.place();
        commit(&place, &State::new(0, "one")).await.unwrap();
        let writer = tokio::spawn(async move {
            for round in 1..30 {
                commit(&place, &State::new(round, "one")).await.map_err(|e| (round, described(&e)))?;
            }
            Ok(29)
        });
        sleep(Duration::from_millis(random(plan.seed, n as u64) % 1_000)).await;
        restart_server().await;
        let done = match writer.await.unwrap() {
            Ok(done) => done,
            Err((round, e)) => {
                eprintln!("round {round} was given up: {e}");
                round - 1
            }
        };
        row.count(format!("round {n}"), stands(&remote, done).await);
    }
    vec![row]
}

async fn stands(remote: &Remote, done: u64) -> Result<(), String> {
    let found = read(&remote.place()).await?.ok_or("nothing is there")?;
    if found.round() != done && found.round() != done + 1 {
        return Err(format!("round {done} was done, and there is {found:?}"));
    }
    goes_on(remote).await
}
