//! The servers that stores are tested on: real ones, on this machine, started for a run and stopped after it, however it
//! ends. Tests find them by environment variables.

mod control;
mod keeper;
mod ports;
mod s3;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};

use control::Control;

/// How the command is used.
pub(crate) const EXAMPLES: &str = "\
Example: cargo xtask services, then in another terminal the lines that it prints, and
  cargo test --package faults-remote --all-features";

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    /// SeaweedFS.
    S3,
}

impl Service {
    pub(crate) const ALL: [Self; 1] = [Self::S3];

    /// What tests call it.
    fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
        }
    }

    /// Starts one with no data, and returns when it answers. What it needs is installed the first time.
    fn start(self) -> Result<Box<dyn Server>> {
        Ok(match self {
            Self::S3 => Box::new(s3::S3::start()?),
        })
    }
}

/// A running server. Dropping it stops it and removes its data.
trait Server: Send {
    /// The variables by which tests find it.
    fn environment(&self) -> Vec<(&'static str, String)>;

    /// Kills it as a failure of its machine would, and starts it again on the same data and ports.
    fn restart(&mut self) -> Result<()>;
}

/// Servers by their names, for the tests that kill them.
type Running = Arc<BTreeMap<&'static str, Mutex<Box<dyn Server>>>>;

/// Running servers. Dropping it stops them.
pub(crate) struct Services {
    running: Running,
    control: Control,
}

impl Services {
    /// Starts these servers, all at once, and returns when each answers.
    pub(crate) fn start(services: &[Service]) -> Result<Self> {
        let started = thread::scope(|scope| {
            let threads: Vec<_> = services.iter().map(|service| (service, scope.spawn(|| service.start()))).collect();
            let join = |(service, thread): (&Service, thread::ScopedJoinHandle<'_, Result<Box<dyn Server>>>)| {
                let server = thread.join().map_err(|_| anyhow!("the thread that starts it has panicked"))?;
                Ok((service.name(), Mutex::new(server.with_context(|| format!("cannot start '{}'", service.name()))?)))
            };
            threads.into_iter().map(join).collect::<Result<BTreeMap<_, _>>>()
        })?;
        let running = Arc::new(started);
        Ok(Self { control: Control::start(Arc::clone(&running))?, running })
    }

    /// The variables by which tests find the servers.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment: Vec<_> = self.running.values().flat_map(|server| lock(server).environment()).collect();
        environment.push(("COLCA_SERVICES", self.control.address()));
        environment
    }

    /// Gives a command the variables by which it finds the servers.
    pub(crate) fn add_to(&self, command: &mut Command) {
        command.envs(self.environment());
    }
}

/// `cargo xtask services`: for tests by hand.
pub(crate) fn run() -> Result<()> {
    let services = Services::start(&Service::ALL)?;
    println!("\nfor another terminal:\n");
    for (name, value) in services.environment() {
        println!("export {name}={value}");
    }
    println!("\nthe servers run until Enter is pressed here");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn lock(server: &Mutex<Box<dyn Server>>) -> MutexGuard<'_, Box<dyn Server>> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty folder for the data of a server.
fn data(name: &str) -> Result<PathBuf> {
    let folder = support::root().join("target/services").join(format!("{name}-{}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
