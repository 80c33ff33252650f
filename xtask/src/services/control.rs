//! Where tests ask for what happens to servers.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result, anyhow};

use super::{Running, lock};

/// A port that takes a line such as `restart s3`, which kills that server and starts it again on the same data. The
/// answer is a line: `done`, or what went wrong.
pub(super) struct Control {
    port: u16,
}

impl Control {
    pub(super) fn start(running: Running) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for tests")?;
        let port = listener.local_addr()?.port();
        // The thread keeps the servers no longer than it serves a request, so that dropping `Services` stops them.
        let running = std::sync::Arc::downgrade(&running);
        thread::spawn(move || {
            for test in listener.incoming().flatten() {
                let Some(running) = running.upgrade() else { break };
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
    let mut order = String::new();
    BufReader::new(test).read_line(&mut order)?;
    let server = order.trim().strip_prefix("restart ").and_then(|name| running.get(name));
    let done = match server {
        Some(server) => lock(server).restart(),
        None => Err(anyhow!("'{}' is nothing that can be done", order.trim())),
    };
    let answer = done.map_or_else(|error| format!("{error:#}"), |()| "done".to_owned());
    let mut test = test;
    writeln!(test, "{}", answer.replace('\n', " "))?;
    Ok(())
}
