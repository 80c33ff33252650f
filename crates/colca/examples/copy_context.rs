//! Opens a storage context, persists it to another place and prints what that did.
//!
//! ```text
//! cargo run --release --example copy_context -- SRC DST
//! cargo run --release --example copy_context -- --upgrade --json ./old ./new
//! ```
//!
//! SRC is a location that any LlamaIndex from 0.6 on wrote, or the single file that 0.5 and before saved an index to. SRC
//! and DST are folders or URIs: with the features `s3`, `r2`, `gcs` and `azblob` any two services, as in
//!
//! ```text
//! cargo run --release --features s3,r2 --example copy_context -- s3://bucket/prefix r2://account/bucket/prefix
//! ```

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use colca::persist::{Progress, Step};
use colca::prelude::*;
use colca::raw_json::Text;

/// Copies a storage context: opens SRC, persists to DST, prints the report.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  copy_context ./storage ./backup\n  copy_context s3://bucket/prefix r2://account/bucket/prefix\n  copy_context --upgrade ./storage-of-0.6 ./storage\n  copy_context --json ./storage ./backup\n"
)]
struct Args {
    /// The location of the context, or a single file of LlamaIndex 0.5
    src: String,
    /// The location to persist to; a folder is created if need be
    dst: String,
    /// Rewrite what older versions wrote into what today's LlamaIndex reads
    #[arg(long)]
    upgrade: bool,
    /// Replace the context that is at the target
    #[arg(long)]
    overwrite: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    let progress = std::io::stderr().is_terminal().then(|| Progress::new(show));
    let opened = open(&args.src, progress.clone()).await;
    clear(progress.as_ref());
    let ctx = opened?;
    if let Some(report) = ctx.open_report().filter(|report| !report.findings.is_empty()) {
        eprint!("{report}");
    }
    if args.upgrade {
        let upgraded = ctx.upgrade().await?;
        for (id, reason) in &upgraded.unreadable {
            eprintln!("not upgraded: {id}: {reason}");
        }
    }
    let options = PersistOptions { overwrite: args.overwrite, progress: progress.clone(), ..PersistOptions::default() };
    let persisted = ctx.persist_with(&args.dst, &options).await;
    clear(progress.as_ref());
    let report = persisted.with_context(|| format!("cannot persist to {}", args.dst))?;
    if args.json {
        println!("{}", report.to_value());
    } else {
        print!("{report}");
    }
    Ok(())
}

/// Shows on a line of the terminal how much has been read or written.
fn show(step: &Step<'_>) {
    const MEGABYTE: u64 = 1_000_000;
    match step {
        Step::Read { name, bytes_done, bytes_total } => {
            eprint!("\r\x1b[Kreading {name}: {} of {} MB", bytes_done / MEGABYTE, bytes_total / MEGABYTE);
        }
        Step::Staged { name, bytes } => eprint!("\r\x1b[Kwriting {name}: {} MB", bytes / MEGABYTE),
        _ => {}
    }
}

/// Clears that line.
fn clear(progress: Option<&Progress>) {
    if progress.is_some() {
        eprint!("\r\x1b[K");
    }
}

async fn open(src: &str, progress: Option<Progress>) -> Result<StorageContext> {
    if !Path::new(src).is_file() {
        let options = OpenOptions { progress, ..OpenOptions::default() };
        return Ok(StorageContext::open_with(src, &options).await?);
    }
    let file = std::fs::read(PathBuf::from(src)).with_context(|| format!("cannot read {src}"))?;
    let text = Text::decode(file).with_context(|| src.to_owned())?;
    StorageContext::from_single_file(&text).with_context(|| format!("cannot convert {src}"))
}
