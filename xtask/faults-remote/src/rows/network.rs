use fs_backends::RequestOptions;

use super::{Plan, Start, survives};
use crate::proxy::{Fate, Proxy};
use crate::s3::IMPATIENT;
use crate::state::{State, commit, described, read};
use crate::table::Row;

/// A connection breaks at one request, for a writer that repeats requests and for one that does not.
pub(super) async fn rows(plan: Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    let fates = [
        ("the connection is reset before the nth request", Fate::ResetBefore),
        ("the connection is reset after the nth request was executed", Fate::ResetAfter),
        ("the nth request is cut off", Fate::CutRequest(40)),
        ("the nth answer is cut off", Fate::CutAnswer(120)),
    ];
    for (n, (fault, fate)) in fates.into_iter().enumerate() {
        for repeats in [true, false] {
            let start = if repeats { "requests are repeated" } else { "requests are not repeated" };
            let mut row = Row::new(fault, start);
            for request in 0..200 {
                if !plan.tries(200 + n, request) && request != 0 {
                    continue;
                }
                match break_at(request, fate.clone(), repeats).await {
                    Some(outcome) => row.count(format!("request {request}"), outcome),
                    None => break,
                }
            }
            rows.push(row);
        }
    }
    rows
}

/// Tells nothing if the writer makes fewer requests.
async fn break_at(request: usize, fate: Fate, repeats: bool) -> Option<Result<(), String>> {
    let (remote, old, new) = Start::Large.make().await;
    let decide = move |seen: &crate::proxy::Request| if seen.number == request { fate.clone() } else { Fate::Pass };
    let proxy = Proxy::start(remote.port(), decide).await;
    let retries = if repeats { IMPATIENT.retries } else { 0 };
    let place = remote.through(proxy.port()).place_with(RequestOptions { retries, ..IMPATIENT });
    let told = commit(&place, &new).await;
    if proxy.seen() <= request {
        return None;
    }
    let done = told.is_ok();
    Some(match told {
        Err(e) if repeats => Err(format!("a repeated request did not help: {}", described(&e))),
        _ if done && read(&remote.place()).await != Ok(Some(new.clone())) => {
            Err("what was said to be written is not there".to_owned())
        }
        _ => survives(&remote, old.as_ref().map(|state: &State| state), &new).await,
    })
}
