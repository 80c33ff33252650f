use futures_util::future::join_all;

use super::Plan;
use crate::child::{Process, RACE};
use crate::s3::Remote;
use crate::state::{State, finish, prepare, read, read_plainly};
use crate::table::Row;

const WRITERS: usize = 16;

/// Many writers that have all seen the same generation: one wins, and its state is what is read.
pub(super) async fn rows(plan: Plan) -> Vec<Row> {
    vec![tasks(plan).await, processes(plan).await]
}

async fn tasks(plan: Plan) -> Row {
    let mut row = Row::new("16 tasks commit at once", "the generation of the last round");
    let remote = Remote::new();
    for round in 0..plan.rounds as u64 {
        let places: Vec<_> = (0..WRITERS).map(|_| remote.place()).collect();
        let prepared = join_all(places.iter().map(|place| prepare(place))).await;
        let racing = prepared.into_iter().enumerate().map(|(n, writer)| async move {
            let told = match writer {
                Ok(writer) => finish(writer, &State::new(round, n)).await,
                Err(e) => Err(e),
            };
            match told {
                Ok(()) => "done".to_owned(),
                Err(e @ persist::Error::Conflict { .. }) => format!("conflict: {e}"),
                Err(e) => format!("error: {e}"),
            }
        });
        row.count(round, judge(&remote, round, &join_all(racing).await).await);
    }
    row
}

async fn processes(plan: Plan) -> Row {
    let mut row = Row::new("16 processes commit at once", "the generation of the last round");
    let remote = Remote::new();
    for round in 0..plan.rounds as u64 {
        let start = |n: usize| Process::start(RACE, &remote, &State::new(round, n));
        let mut processes: Vec<_> = (0..WRITERS).map(start).collect();
        for process in &mut processes {
            process.line().await;
        }
        join_all(processes.iter_mut().map(Process::go_on)).await;
        let told = join_all(processes.iter_mut().map(Process::line)).await;
        let told: Vec<_> = told.into_iter().map(|line| line.unwrap_or_else(|| "it ended".to_owned())).collect();
        row.count(round, judge(&remote, round, &told).await);
    }
    row
}

/// Demands one winner, and nothing but conflicts for the others.
async fn judge(remote: &Remote, round: u64, told: &[String]) -> Result<(), String> {
    let winners: Vec<usize> = (0..told.len()).filter(|n| told[*n] == "done").collect();
    let conflicts = told.iter().filter(|line| line.starts_with("conflict")).count();
    if winners.len() != 1 || conflicts != told.len() - 1 {
        return Err(format!("round {round} ended with {told:?}"));
    }
    let (place, expected) = (remote.place(), Ok(Some(State::new(round, winners[0]))));
    for found in [read(&place).await, read_plainly(&place).await] {
        if found != expected {
            return Err(format!("round {round} was won by {winners:?}, and there is {found:?}"));
        }
    }
    Ok(())
}
