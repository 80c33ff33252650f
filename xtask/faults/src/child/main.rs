//! A process that changes a storage context and persists it, or looks at one. It prints what came of it, in one line.

mod round;

use std::error::Error as _;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, fs, thread};

use colca::persist;
use colca::prelude::*;
use colca::storage_context::Error;
use pollster::block_on;

const USAGE: &str = "faults-child write PLACE ROUND [plain] [wait] | race PLACE WHO [plain] | check PLACE | read PLACE | \
    power-off FOLDER [names]";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = match words[..] {
        ["write", place, round, ref how @ ..] => change(place, round, "writer").and_then(|ctx| {
            if how.contains(&"wait") {
                say("ready");
                let _ = stdin().lines().next();
            }
            persist(&ctx, place, how.contains(&"plain"))
        }),
        ["race", place, who, ref how @ ..] => race(place, who, how.contains(&"plain")),
        ["check", place] => open(place).and_then(|ctx| tell(&ctx)),
        ["read", place] => read(place),
        ["power-off", folder] => power_off(Path::new(folder)),
        ["power-off", folder, "names"] => sync_names(Path::new(folder)).and_then(|()| power_off(Path::new(folder))),
        _ => Err(USAGE.to_owned()),
    };
    match said {
        Ok(said) => say(&said),
        Err(said) => say(&said),
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    println!("{}", line.replace('\n', " "));
    let _ = stdout().flush();
}

fn open(place: &str) -> Result<StorageContext, String> {
    block_on(StorageContext::open_or_create(place)).map_err(|e| told(&e))
}

fn tell(ctx: &StorageContext) -> Result<String, String> {
    block_on(round::tell(ctx))
}

/// Opens the place and brings every store to this round.
fn change(place: &str, round: &str, who: &str) -> Result<StorageContext, String> {
    let ctx = open(place)?;
    let round = round.parse().map_err(|_| USAGE.to_owned())?;
    block_on(round::set(&ctx, round, who)).map_err(|e| format!("failed {e}"))?;
    Ok(ctx)
}

/// Persists as one commit, or plainly: one file after the other, each written where it lies, as LlamaIndex does.
fn persist(ctx: &StorageContext, place: &str, plainly: bool) -> Result<String, String> {
    if plainly {
        let memory = MemoryFs::new();
        block_on(ctx.persist(memory.clone())).map_err(|e| told(&e))?;
        fs::create_dir_all(place).map_err(|e| format!("failed {e}"))?;
        for (name, content) in memory.files().into_iter().filter(|(name, _)| !name.contains('/')) {
            fs::write(Path::new(place).join(name), content).map_err(|e| format!("failed {e}"))?;
            // Python takes its time to make the next one.
            thread::sleep(Duration::from_millis(1));
        }
    } else {
        block_on(ctx.persist(place)).map_err(|e| told(&e))?;
    }
    Ok("persisted".to_owned())
}

/// An error with its causes, after the word that says what kind it is.
fn told(error: &Error) -> String {
    let kind = match error {
        Error::Persist(persist::Error::Conflict { .. }) => "conflict",
        Error::Persist(persist::Error::Locked { .. }) => "locked",
        _ => "failed",
    };
    let mut said = format!("{kind} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        said += &format!(": {error}");
        cause = error.source();
    }
    said
}

/// Takes part in races: opens for the round that each line names, and persists at the next line.
fn race(place: &str, who: &str, plainly: bool) -> Result<String, String> {
    let mut lines = stdin().lines().map_while(Result::ok);
    while let Some(round) = lines.next() {
        let changed = change(place, &round, who);
        say("ready");
        if lines.next().is_none() {
            break;
        }
        match changed.and_then(|ctx| persist(&ctx, place, plainly)) {
            Ok(said) | Err(said) => say(&said),
        }
    }
    Ok("done".to_owned())
}

/// Opens the place again and again until nobody listens, and tells how often; or what was wrong.
fn read(place: &str) -> Result<String, String> {
    static STOP: AtomicBool = AtomicBool::new(false);
    thread::spawn(|| {
        let _ = stdin().lock().read_until(b'\n', &mut Vec::new());
        STOP.store(true, Ordering::Relaxed);
    });
    let (mut reads, mut last) = (0_u64, None);
    while !STOP.load(Ordering::Relaxed) {
        let ctx = open(place).map_err(|e| format!("after {last:?}: {e}"))?;
        tell(&ctx)?;
        let round = block_on(round::of_documents(&ctx))?;
        if round < last {
            return Err(format!("went back from {last:?} to {round:?}"));
        }
        (reads, last) = (reads + 1, round);
    }
    Ok(format!("read {reads}"))
}

/// What another program does when it makes a file of its own durable: ext4 then writes the names of all files, and not the
/// contents that have no place on the disk yet.
fn sync_names(folder: &Path) -> Result<(), String> {
    let durable = fs::File::create(folder.join("another file")).and_then(|file| file.sync_all());
    durable.map_err(|e| format!("failed {e}"))
}

/// What a power failure does to an ext4 file system: what is not durable is gone, and nothing can be written any more.
#[cfg(target_os = "linux")]
fn power_off(folder: &Path) -> Result<String, String> {
    use std::os::fd::AsRawFd;
    const EXT4_IOC_SHUTDOWN: u32 = 0x8004_587d;
    const NO_LOG_FLUSH: u32 = 2;
    let folder = fs::File::open(folder).map_err(|e| format!("failed {e}"))?;
    // SAFETY: the call reads one number, which outlives it.
    let done = unsafe { libc::ioctl(folder.as_raw_fd(), EXT4_IOC_SHUTDOWN.into(), &NO_LOG_FLUSH) };
    if done == 0 { Ok("off".to_owned()) } else { Err(format!("failed {}", std::io::Error::last_os_error())) }
}

#[cfg(not(target_os = "linux"))]
fn power_off(_: &Path) -> Result<String, String> {
    Err("failed: there is no such thing here".to_owned())
}
