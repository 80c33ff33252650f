use persist::{CommitOptions, Error, Writer};

use crate::proxy::{Fate, Proxy};
use crate::s3::{Account, Remote};
use crate::state::{State, finish, read, read_plainly};
use crate::table::Row;

/// A service that promises conditions and ignores them.
pub(super) async fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (start, ignored, refused) in [
        ("the conditions of new files are ignored", &["if-none-match"][..], true),
        ("all conditions are ignored", &["if-none-match", "if-match"][..], true),
        ("the conditions of replaced files are ignored", &["if-match"][..], false),
    ] {
        let mut row = Row::new("the service promises conditions and ignores them", start);
        row.count("one writer", check(ignored, refused).await);
        rows.push(row);
    }
    rows
}

/// Where new files are not told apart from old ones a writer must ask for it.
async fn check(ignored: &'static [&'static str], refused: bool) -> Result<(), String> {
    let remote = Remote::new();
    let proxy = Proxy::start(remote.port(), |_| Fate::Without(ignored)).await;
    let place = remote.account(Account::Nobody).through(proxy.port()).place();
    for round in 1..4 {
        let write = async |allow_unconditional| {
            let options = CommitOptions { allow_unconditional, ..CommitOptions::default() };
            finish(Writer::begin(&place, options).await?.prepare().await?, &State::new(round, "one")).await
        };
        match write(false).await {
            Err(Error::Unconditional { .. }) if refused => write(true).await.map_err(|e| e.to_string())?,
            Ok(()) if !refused => {}
            other => return Err(format!("without being asked for it: {other:?}")),
        }
        let expected = Ok(Some(State::new(round, "one")));
        for found in [read(&place).await, read_plainly(&place).await] {
            if found != expected {
                return Err(format!("there is {found:?}"));
            }
        }
    }
    Ok(())
}
