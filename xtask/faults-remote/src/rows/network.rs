use fs_backends::RequestOptions;
use persist::behavior::read_all;

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
    rows.extend(flipped(plan).await);
    rows.push(slow().await);
    rows
}

/// How far from the end of an answer a byte is flipped: within the content of all but the shortest.
const FROM_END: usize = 10;

/// One bit of an answer is another when it arrives, at a writer and at a reader. Either fails, or finds what is there,
/// or reports a file as one that is not as it was committed.
async fn flipped(plan: Plan) -> [Row; 2] {
    let fault = "a bit of the nth answer is flipped";
    let (mut writing, mut reading) = (Row::new(fault, "a file of two parts is written"), Row::new(fault, "it is read"));
    for request in 0..200 {
        if !plan.tries(210, request) && request != 0 {
            continue;
        }
        let decide = move |seen: &crate::proxy::Request| match seen.number == request {
            true => Fate::FlipAnswer(FROM_END),
            false => Fate::Pass,
        };
        let (remote, old, new) = Start::Large.make().await;
        let proxy = Proxy::start(remote.port(), decide).await;
        let committed = commit(&remote.through(proxy.port()).place_with(IMPATIENT), &new).await;
        if proxy.seen() <= request {
            break;
        }
        let outcome = match committed {
            Ok(()) if read(&remote.place()).await != Ok(Some(new.clone())) => {
                Err("what was said to be written is not there".to_owned())
            }
            _ => survives(&remote, old.as_ref(), &new).await,
        };
        writing.count(format!("request {request}"), outcome);

        let proxy = Proxy::start(remote.port(), decide).await;
        let found = read_all(&remote.through(proxy.port()).place_with(IMPATIENT)).await;
        if proxy.seen() > request {
            let whole = read_all(&remote.place()).await.map_err(|e| described(&e));
            reading.count(
                format!("request {request}"),
                match (found, whole) {
                    // A digest that no manifest knows is taken for another program's, and reported as such.
                    (Ok((_, findings)), Ok(_)) if !findings.is_empty() => Ok(()),
                    (Ok((files, _)), Ok((whole, _))) if files != whole => {
                        Err(format!("{files:?} was read, unreported"))
                    }
                    (_, Err(e)) => Err(e),
                    _ => Ok(()),
                },
            );
        }
    }
    [writing, reading]
}

/// Every tenth answer takes longer than a request may be silent. Bytes arrive, so nothing fails.
async fn slow() -> Row {
    let mut row = Row::new("every tenth answer arrives slowly", "a generation that is published");
    let (remote, _, new) = Start::Published.make().await;
    let slow = |seen: &crate::proxy::Request| if seen.number.is_multiple_of(10) { Fate::Slow(50) } else { Fate::Pass };
    let proxy = Proxy::start(remote.port(), slow).await;
    let place = remote.through(proxy.port()).place_with(IMPATIENT);
    row.count("the writer", commit(&place, &new).await.map_err(|e| described(&e)));
    let found = read(&place).await;
    row.count("the reader", if found == Ok(Some(new)) { Ok(()) } else { Err(format!("{found:?}")) });
    row
}

/// Returns none if the writer makes fewer requests.
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
