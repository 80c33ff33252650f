//! The servers that stores are tested on: real ones, on this machine, started for a run and stopped after it, however it
//! ends. Tests find them by environment variables.

mod azurite;
mod control;
mod gcs;
mod http;
mod keeper;
mod moto;
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
    /// SeaweedFS, which speaks S3.
    S3,
    /// moto, which speaks S3 and checks IAM policies.
    Moto,
    /// Azurite, which speaks Azure Blob Storage.
    Azurite,
    /// fake-gcs-server, which speaks Google Cloud Storage.
    FakeGcs,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::S3, Self::Moto, Self::Azurite, Self::FakeGcs];

    /// What tests call it.
    fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Moto => "moto",
            Self::Azurite => "azurite",
            Self::FakeGcs => "gcs",
        }
    }

    /// Starts one with no data, and returns when it answers. What it needs is installed the first time.
    fn start(self) -> Result<Box<dyn Server>> {
        Ok(match self {
            Self::S3 => Box::new(s3::S3::start()?),
            Self::Moto => Box::new(moto::Moto::start()?),
            Self::Azurite => Box::new(azurite::Azurite::start()?),
            Self::FakeGcs => Box::new(gcs::FakeGcs::start()?),
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

/// Servers by their names, also for the tests that kill them; none that has been stopped.
type Running = Arc<BTreeMap<&'static str, Mutex<Option<Box<dyn Server>>>>>;

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
                Ok((service.name(), server.with_context(|| format!("cannot start '{}'", service.name()))?))
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        Self::of(started)
    }

    fn of(servers: Vec<(&'static str, Box<dyn Server>)>) -> Result<Self> {
        let running = servers.into_iter().map(|(name, server)| (name, Mutex::new(Some(server)))).collect();
        let running = Arc::new(running);
        Ok(Self { control: Control::start(Arc::clone(&running))?, running })
    }

    /// The variables by which tests find the servers.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let of = |server: &Mutex<Option<Box<dyn Server>>>| lock(server).as_ref().map(|server| server.environment());
        let mut environment: Vec<_> = self.running.values().filter_map(of).flatten().collect();
        environment.push(("COLCA_SERVICES", self.control.address()));
        environment
    }

    /// Gives a command the variables by which it finds the servers.
    pub(crate) fn add_to(&self, command: &mut Command) {
        command.envs(self.environment());
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        // Who restarts one at the moment ends first.
        self.running.values().for_each(|server| drop(lock(server).take()));
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

fn lock(server: &Mutex<Option<Box<dyn Server>>>) -> MutexGuard<'_, Option<Box<dyn Server>>> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder for the data of a server. Dropping it removes it.
struct Folder(PathBuf);

impl Folder {
    /// An empty one.
    fn new(name: &str) -> Result<Self> {
        let folder = support::root().join("target/services").join(format!("{name}-{}", std::process::id()));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it was restarted, and whether it is gone.
    #[derive(Default)]
    struct Counts {
        restarted: AtomicUsize,
        stopped: AtomicUsize,
    }

    struct Counting(Arc<Counts>);

    impl Server for Counting {
        fn environment(&self) -> Vec<(&'static str, String)> {
            vec![("COUNTING", "1".to_owned())]
        }

        fn restart(&mut self) -> Result<()> {
            self.0.restarted.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }

    impl Drop for Counting {
        fn drop(&mut self) {
            self.0.stopped.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn order(services: &Services, line: &str) -> String {
        let mut control = TcpStream::connect(services.control.address()).unwrap();
        control.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        control.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn servers_are_restarted_on_demand_and_stopped_at_the_end() {
        let counts = Arc::new(Counts::default());
        let services = Services::of(vec![("counting", Box::new(Counting(Arc::clone(&counts))))]).unwrap();
        assert!(services.environment().contains(&("COUNTING", "1".to_owned())));
        assert_eq!(order(&services, "restart counting\n"), "done\n");
        assert_eq!(order(&services, "restart other\n"), "'restart other' is nothing that can be done\n");
        assert_eq!(order(&services, "stop counting\n"), "'stop counting' is nothing that can be done\n");
        assert_eq!((counts.restarted.load(Ordering::SeqCst), counts.stopped.load(Ordering::SeqCst)), (1, 0));
        // A test that says nothing keeps nobody from stopping them.
        let _silent = TcpStream::connect(services.control.address()).unwrap();
        drop(services);
        assert_eq!(counts.stopped.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_panic_stops_them_too() {
        let counts = Arc::new(Counts::default());
        let server = Counting(Arc::clone(&counts));
        let work = thread::spawn(|| {
            let _services = Services::of(vec![("counting", Box::new(server))]).unwrap();
            panic!("a step panics");
        });
        assert!(work.join().is_err());
        assert_eq!(counts.stopped.load(Ordering::SeqCst), 1);
    }
}
