//! `cargo xtask faults`: a storage context is persisted by processes that are killed, whose calls fail, whose disk is
//! full or whose power goes, before each single call; and what is there afterwards must be the old state or the new one,
//! whole, and work again.
//!
//! The processes are `faults-child`, with the library of this package preloaded.

mod disk;
mod lost;
mod races;
mod self_test;
mod start;
mod sweep;
mod table;
mod tools;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use support::RESULT;
use support::Random;
use support::process::minutes;

use disk::Disk;
use start::Start;
use table::{Row, Table, Tried};
use tools::{Fault, Tools};

/// Persists while processes are killed, calls fail, disks are full and the power goes, and looks at what is left.
#[derive(Debug, Clone, clap::Parser)]
#[command(bin_name = "cargo xtask faults", after_help = EXAMPLES)]
struct Options {
    /// What the random choices start from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many rounds races go, and how often a process is killed at a random moment
    #[arg(long, default_value_t = 100)]
    rounds: usize,
    /// Only faults whose names have this in them
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// At most so many calls for each fault and starting state, chosen at random. Default: every call
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Also write the table into docs/reliability.md
    #[arg(long, conflicts_with_all = ["only", "sample", "self_test"])]
    write: bool,
    /// Instead break the rules on purpose (no commit, no fsync), and demand that each fault is noticed
    #[arg(long)]
    self_test: bool,
}

const EXAMPLES: &str = "\
With --on s3 it is about a bucket of an S3 server, which is started; `cargo xtask faults --on s3 --help` has its options.

Examples:
  cargo xtask faults                                 every call of a disk, in some minutes
  cargo xtask faults --sample 10 --rounds 10         a part of it, in one
  cargo xtask faults --only 'power fails' --sample 40
  cargo xtask faults --self-test --sample 10 --rounds 10";

/// The faults, in order.
const FAULTS: &[&str] = &[
    KILL,
    HALF,
    MOMENT,
    EIO,
    READER_EIO,
    ENOSPC,
    FULL_DISK,
    FILE_SIZE,
    EROFS,
    READ_ONLY,
    POWER,
    POWER_NAMES,
    POWER_HALF,
    POWER_ANY,
    FSYNC,
    RACE,
    RACE_KILLED,
    RACE_UNLOCKED,
    READERS,
];

const KILL: &str = "killed before a call";
const HALF: &str = "killed half way through a write";
const MOMENT: &str = "killed at a random moment";
const EIO: &str = "a call fails (EIO)";
const READER_EIO: &str = "a reader's call fails (EIO)";
const ENOSPC: &str = "no space from a call on (ENOSPC)";
const FULL_DISK: &str = "a full disk of any size";
const FILE_SIZE: &str = "a limit of file sizes (EFBIG)";
const EROFS: &str = "read-only from a call on (EROFS)";
const READ_ONLY: &str = "a read-only folder";
const POWER: &str = "power fails before a call";
const POWER_NAMES: &str = "power fails, names durable, contents not";
const POWER_HALF: &str = "power fails half way through a write";
const POWER_ANY: &str = "power fails, names go in any order";
const FSYNC: &str = "fsync fails, then the power";
const RACE: &str = "16 processes persist at once";
const RACE_KILLED: &str = "16 processes persist at once, 4 are killed";
const RACE_UNLOCKED: &str = "16 processes persist at once, without a lock";
const READERS: &str = "2 processes read while 1 persists";

/// Everything that a trial needs.
struct Harness {
    options: Options,
    tools: Tools,
    disk: Disk,
}

fn main() -> ExitCode {
    support::exit(run(Options::parse()))
}

/// Tries all faults and prints the table. Fails if anything was lost.
fn run(options: Options) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("{RESULT}not tried: faults can be made on Linux only");
        return Ok(());
    }
    if !disk::have_own_mounts() {
        return disk::rerun_with_own_mounts();
    }
    let disk = Disk::new(&support::root().join("target/faults"))?;
    let tools = Tools::copy_to(&disk.folder)?;
    let harness = Harness { options, tools, disk };
    if harness.options.self_test {
        return self_test::run(&harness);
    }
    let table = harness.table()?;
    print!("\n{table}");
    if harness.options.write {
        table.write_to(&support::root().join("docs/reliability.md"))?;
    }
    table.demand()
}

impl Harness {
    /// The table of all chosen faults.
    fn table(&self) -> Result<Table> {
        let starts = start::all(self).context("cannot make what is to be persisted over")?;
        let mut table = Table::default();
        for &fault in FAULTS {
            if self.options.only.as_ref().is_some_and(|only| !fault.contains(only.as_str())) {
                continue;
            }
            let starts =
                if matches!(fault, RACE | RACE_KILLED | RACE_UNLOCKED | READERS) { &starts[..1] } else { &starts[..] };
            for start in starts {
                let begin = Instant::now();
                let row = self.row(fault, start).with_context(|| format!("'{fault}', {}", start.name))?;
                println!("{row}  {}", minutes(begin.elapsed()));
                table.push(row);
            }
        }
        Ok(table)
    }

    fn row(&self, fault: &'static str, start: &Start) -> Result<Row> {
        let needs_power = matches!(fault, POWER | POWER_NAMES | POWER_HALF | FSYNC);
        let missing = match fault {
            _ if needs_power => self.disk.cannot_lose_power.clone(),
            FULL_DISK | READ_ONLY => self.disk.cannot_mount.clone(),
            _ => None,
        };
        if let Some(why) = missing {
            return Ok(Row::skipped(fault, start.name, why));
        }
        let tried = match fault {
            KILL => sweep::calls(self, start, "kill", |_| true),
            HALF => sweep::calls(self, start, "half", |call| call.class == "Write"),
            EIO => sweep::calls(self, start, "eio", |_| true),
            ENOSPC => sweep::calls(self, start, "enospc", |call| matches!(&*call.class, "Grow" | "Write")),
            EROFS => sweep::calls(self, start, "erofs", |call| matches!(&*call.class, "Change" | "Grow" | "Write")),
            FSYNC => {
                let ways = [("fsync", true), ("fsync", false), ("eio", true), ("eio", false)];
                ways.into_iter().try_fold(Tried::default(), |tried, (kind, names)| {
                    Ok(tried.and(sweep::power(self, start, kind, names, |call| call.class == "Sync")?))
                })
            }
            POWER => sweep::power(self, start, "kill", false, |_| true),
            POWER_NAMES => sweep::power(self, start, "kill", true, |_| true),
            POWER_HALF => sweep::power(self, start, "half", true, |call| call.class == "Write"),
            POWER_ANY => lost::power(self, start),
            READER_EIO => sweep::reader(self, start),
            FULL_DISK => sweep::full_disk(self, start),
            FILE_SIZE => sweep::file_size(self, start),
            READ_ONLY => sweep::read_only(self, start),
            MOMENT => races::random_moments(self, start),
            RACE => races::writers(self, start, 0, Fault::None),
            RACE_KILLED => races::writers(self, start, 4, Fault::None),
            RACE_UNLOCKED => races::writers(self, start, 0, Fault::At("nolock", 0)),
            _ => races::readers(self, start),
        }?;
        Ok(Row::tried(fault, start.name, tried))
    }

    fn random(&self) -> Random {
        Random::new(self.options.seed)
    }

    /// An empty folder to work in.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.disk.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
