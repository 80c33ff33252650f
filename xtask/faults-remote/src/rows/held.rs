//! A request of a writer is held back while another one commits, and then goes on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::{Plan, Start, finds, goes_on};
use crate::child::{Process, WRITE};
use crate::proxy::{Fate, Proxy, Request};
use crate::s3::Remote;
use crate::state::{State, commit, described, read};
use crate::table::Row;

/// What becomes of the writer meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It is killed: its request arrives when nobody waits for the answer any more.
    Killed,
    /// It stands still, and goes on when its request does.
    StandsStill,
}

/// The writer is killed. Only requests that write matter.
pub(super) async fn late(plan: Plan) -> Vec<Row> {
    rows(plan, Writer::Killed, "a request arrives after another writer's commit", 100).await
}

/// The writer goes on. Each request matters.
pub(super) async fn pauses(plan: Plan) -> Vec<Row> {
    rows(plan, Writer::StandsStill, "a writer stands still while another one commits", 300).await
}

async fn rows(plan: Plan, writer: Writer, fault: &'static str, situation: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for (n, start) in [Start::Empty, Start::Published, Start::Pending].into_iter().enumerate() {
        let mut row = Row::new(fault, start.describe());
        for request in 0..200 {
            if !plan.tries(situation + n, request) && request != 0 {
                continue;
            }
            let (remote, _, new) = start.make().await;
            match hold_back(&remote, &new, request, writer).await {
                Some(outcome) => row.count(format!("request {request}"), outcome),
                None => break,
            }
        }
        rows.push(row);
    }
    rows
}

/// Tells nothing if the writer makes fewer such requests.
async fn hold_back(remote: &Remote, new: &State, request: usize, fate: Writer) -> Option<Result<(), String>> {
    let (held, bell) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (hold, late, count) = (Arc::clone(&held), Arc::clone(&bell), AtomicUsize::new(0));
    let matters = move |seen: &Request| fate == Writer::StandsStill || (seen.method != "GET" && seen.method != "HEAD");
    let proxy = Proxy::start(remote.port(), move |seen| {
        match matters(seen) && count.fetch_add(1, Ordering::SeqCst) == request {
            true => {
                hold.notify_one();
                Fate::Late(Arc::clone(&late))
            }
            false => Fate::Pass,
        }
    })
    .await;
    let mut writer = Process::start(WRITE, &remote.through(proxy.port()), new);
    tokio::select! {
        () = held.notified() => {}
        _ = writer.line() => return None,
    }
    if fate == Writer::Killed {
        writer.kill().await;
    }
    let other = State::new(4, "other");
    if let Err(e) = commit(&remote.place(), &other).await {
        return Some(Err(format!("the other writer cannot write: {}", described(&e))));
    }
    bell.notify_one();
    if fate == Writer::Killed {
        proxy.settled().await;
        let found = read(&remote.place()).await;
        if found != Ok(Some(other)) {
            return Some(Err(format!("a reader finds {found:?}")));
        }
        return Some(goes_on(remote).await);
    }
    let told = writer.line().await.unwrap_or_default();
    // One that stood still before it looked has seen the other's commit, and may replace it.
    let replaced = told == "done" && finds(remote, Some(new.clone())).await.is_ok();
    Some(if replaced { Ok(()) } else { finds(remote, Some(other)).await.map_err(|e| format!("'{told}', and {e}")) })
}
