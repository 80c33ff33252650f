//! Where tests ask for what happens to servers.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::{Running, lock};

/// How long a test may take to say what it wants, while others wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// A port that takes a line such as `restart s3`, which kills that server and starts it again on the same data. The
/// answer is a line: `done`, or what went wrong.
pub(super) struct Control {
    port: u16,
}

impl Control {
    pub(super) fn start(running: Running) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for tests")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for test in listener.incoming().flatten() {
                // A test that goes away does not need an answer.
                let _ = obey(&test, &running);
            }
        });
        Ok(Self { port })
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn obey(test: &TcpStream, running: &Running) -> Result<()> {
    test.set_read_timeout(Some(PATIENCE))?;
    let mut order = String::new();
    BufReader::new(test).read_line(&mut order)?;
    let server = order.trim().strip_prefix("restart ").and_then(|name| running.get(name));
    let done = match server.map(|server| lock(server)) {
        Some(mut server) => match server.as_mut() {
            Some(server) => server.restart(),
            None => Err(anyhow!("it has been stopped")),
        },
        None => Err(anyhow!("'{}' is nothing that can be done", order.trim())),
    };
    let answer = done.map_or_else(|error| format!("{error:#}"), |()| "done".to_owned());
    let mut test = test;
    writeln!(test, "{}", answer.replace('\n', " "))?;
    Ok(())
}
