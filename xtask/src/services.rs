//! The servers that places and stores are tested on: real ones, on this machine, started for a test and stopped after
//! it. Tests find them by environment variables.

mod s3;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, thread};

use anyhow::{Context, Result};

use s3::S3;

/// Running servers. Dropping it stops them.
pub(crate) struct Services {
    s3: Arc<Mutex<S3>>,
    control: u16,
}

impl Services {
    /// Starts all servers, and returns when they answer. What they need is installed the first time.
    pub(crate) fn start() -> Result<Self> {
        let s3 = Arc::new(Mutex::new(S3::start(&folder())?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen for tests")?;
        let control = listener.local_addr()?.port();
        let controlled = Arc::clone(&s3);
        thread::spawn(move || {
            for test in listener.incoming().flatten() {
                // A test that goes away does not need an answer.
                let _ = obey(&test, &controlled);
            }
        });
        Ok(Self { s3, control })
    }

    /// What tells tests where the servers are.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = lock(&self.s3).environment();
        environment.push(("COLCA_SERVICES", format!("127.0.0.1:{}", self.control)));
        environment
    }

    /// Tells a command where the servers are.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.envs(self.environment());
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        lock(&self.s3).stop();
    }
}

/// `cargo xtask services`: for tests by hand.
pub(crate) fn run() -> Result<()> {
    let services = Services::start()?;
    println!("\nfor another terminal:\n");
    for (name, value) in services.environment() {
        println!("export {name}={value}");
    }
    println!("\nthe servers run until Enter is pressed here");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// A test asks for what happens to servers: a line `restart s3` kills it and starts it again on the same data. The
/// answer is a line, `done` or what went wrong.
fn obey(test: &TcpStream, s3: &Mutex<S3>) -> Result<()> {
    let mut order = String::new();
    BufReader::new(test).read_line(&mut order)?;
    let done = match order.trim() {
        "restart s3" => lock(s3).restart(),
        other => Err(anyhow::anyhow!("'{other}' is nothing that can be done")),
    };
    let answer = done.map_or_else(|error| format!("{error:#}"), |()| "done".to_owned());
    let mut test = test;
    writeln!(test, "{}", answer.replace('\n', " "))?;
    Ok(())
}

fn lock(s3: &Mutex<S3>) -> MutexGuard<'_, S3> {
    s3.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where programs and data of the servers are kept.
fn folder() -> PathBuf {
    crate::root().join("target/services")
}

/// Ports of this machine on which nothing listens, and nothing does 10,000 above each. Another program may take one
/// before it is used.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    // All are held until the last is found, so that no two are the same.
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        *port = loop {
            let anywhere = free(0)?;
            let low = 10_000 + anywhere.local_addr()?.port() % 20_000;
            if let (Ok(one), Ok(two)) = (free(low), free(low + 10_000)) {
                held.extend([anywhere, one, two]);
                break low;
            }
            held.push(anywhere);
        };
    }
    Ok(ports)
}

/// An empty folder for the data of a server.
fn data(name: &str) -> Result<PathBuf> {
    let folder = folder().join(format!("{name}-{}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports::<20>().unwrap();
        ports.sort_unstable();
        assert!(ports.windows(2).all(|two| two[0] < two[1]), "{ports:?}");
    }
}
