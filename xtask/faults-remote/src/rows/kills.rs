use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::{Plan, Start, goes_on, random, survives};
use crate::child::{LOOP, Process, WRITE};
use crate::proxy::{Fate, Proxy};
use crate::s3::Remote;
use crate::state::{State, read};
use crate::table::Row;

/// A writer is killed (SIGKILL) at one of its requests: before it leaves, or after it was executed.
pub(super) async fn rows(plan: Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for (n, start) in Start::ALL.into_iter().enumerate() {
        for (m, (fault, fate)) in [
            ("the writer is killed before its nth request leaves", Fate::HangBefore),
            ("the writer is killed after its nth request was executed", Fate::HangAfter),
        ]
        .into_iter()
        .enumerate()
        {
            let mut row = Row::new(fault, start.describe());
            for request in 0.. {
                if !plan.tries(2 * n + m, request) && request != 0 {
                    // How many there are shows only when one is not reached.
                    if request > 200 {
                        break;
                    }
                    continue;
                }
                let (remote, old, new) = start.make().await;
                if !kill_at(&remote, &new, request, fate.clone()).await {
                    break;
                }
                row.count(format!("request {request}"), survives(&remote, old.as_ref(), &new).await);
            }
            rows.push(row);
        }
    }
    rows
}

/// Starts a writer and kills it when its request of this number has its fate. Tells whether it got so far.
async fn kill_at(remote: &Remote, new: &State, request: usize, fate: Fate) -> bool {
    let reached = Arc::new(Notify::new());
    let reach = Arc::clone(&reached);
    let fatal = move |seen: &crate::proxy::Request| match seen.number == request {
        true => {
            reach.notify_one();
            fate.clone()
        }
        false => Fate::Pass,
    };
    let proxy = Proxy::start(remote.port(), fatal).await;
    let mut writer = Process::start(WRITE, &remote.through(proxy.port()), new);
    let reached = tokio::select! {
        () = reached.notified() => true,
        told = writer.line() => {
            assert_eq!(told.as_deref(), Some("done"), "a writer that nobody disturbs");
            false
        }
    };
    if reached {
        proxy.settled().await;
    }
    writer.kill().await;
    reached
}

/// A writer that is stopped when its manifest is made and one of its files published.
pub(super) async fn stop_after_the_commit(remote: &Remote, state: &State) {
    let (published, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
    let (seen, stop) = (Arc::clone(&published), Arc::clone(&stopped));
    let proxy = Proxy::start(remote.port(), move |request| {
        // The copies of abilities stay within the folder.
        let publishes = request.header("x-amz-copy-source").is_some() && !request.path.contains(".probe");
        match publishes && seen.swap(true, Ordering::SeqCst) {
            true => {
                stop.notify_one();
                Fate::HangBefore
            }
            false => Fate::Pass,
        }
    })
    .await;
    let mut writer = Process::start(WRITE, &remote.through(proxy.port()), state);
    stopped.notified().await;
    writer.kill().await;
}

/// Writers that go on and on are killed at any moment; what they said is done stays.
pub(super) async fn at_random_moments(plan: Plan) -> Vec<Row> {
    let mut row = Row::new("the writer is killed at a random moment", "a generation of its own");
    for n in 0..5 * plan.rounds {
        let remote = Remote::new();
        let mut writer = Process::start(LOOP, &remote, &State::new(0, "loop"));
        writer.line().await;
        let mut done = 1;
        let moment = sleep(Duration::from_micros(random(plan.seed, n as u64) % 400_000));
        tokio::pin!(moment);
        let told = loop {
            tokio::select! {
                line = writer.line() => match line {
                    Some(line) if line == "done" => done += 1,
                    other => break Err(format!("the writer says {other:?}")),
                },
                () = &mut moment => break Ok(()),
            }
        };
        writer.kill().await;
        while let Some(line) = writer.line().await {
            done += u64::from(line == "done");
        }
        let outcome = match told {
            Ok(()) => stands(&remote, done).await,
            Err(e) => Err(e),
        };
        row.count(format!("moment {n}"), outcome);
    }
    vec![row]
}

/// Demands that the last round that was done is there, or the one after it.
async fn stands(remote: &Remote, done: u64) -> Result<(), String> {
    let found = read(&remote.place()).await?.ok_or("nothing is there")?;
    if found.round() + 1 != done && found.round() != done {
        return Err(format!("{done} rounds were done, and there is {found:?}"));
    }
    goes_on(remote).await
}
