//! Disks to try things on. They are mounted where nobody else sees them, and are gone with this process, however it
//! ends.

use std::fs;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(not(unix))]
use anyhow::bail;
use anyhow::{Context, Result};
use support::process::{probe, program};
use support::root;

/// Set for a process that has its mounts for itself.
const OWN_MOUNTS: &str = "FAULTS_OWN_MOUNTS";

pub(super) fn have_own_mounts() -> bool {
    std::env::var_os(OWN_MOUNTS).is_some()
}

/// Becomes this command in a namespace of its own: as the superuser if we are that, else as one who may mount some
/// things in there; if neither is allowed, without.
#[cfg(unix)]
pub(super) fn rerun_with_own_mounts() -> Result<()> {
    let ways = ["--mount --propagation private", "--user --map-root-user --mount --propagation private"];
    let way = ways.into_iter().find(|way| probe(&mut unshare(way, "true")).is_ok());
    let mut command = match way {
        Some(way) => unshare(way, &std::env::current_exe()?.to_string_lossy()),
        None => Command::new(std::env::current_exe()?),
    };
    let cannot = command.args(std::env::args_os().skip(1)).env(OWN_MOUNTS, "1").exec();
    Err(cannot).context("cannot run this program again")
}

#[cfg(not(unix))]
pub(super) fn rerun_with_own_mounts() -> Result<()> {
    bail!("there are no namespaces here")
}

#[cfg(unix)]
fn unshare(way: &str, run: &str) -> Command {
    let mut command = program("unshare", way);
    command.arg("--").arg(run);
    command
}

/// A folder to work in, in memory if possible, and what cannot be done here.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) folder: PathBuf,
    /// Why nothing can be mounted, if so.
    pub(super) cannot_mount: Option<String>,
    /// Why the power of no file system can fail, if so.
    pub(super) cannot_lose_power: Option<String>,
}

impl Disk {
    pub(super) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // What is preloaded knows paths without links only.
        let folder = &folder.canonicalize()?;
        let mounted = mount("tmpfs", "size=2g", Path::new("tmpfs"), folder).map(std::mem::forget);
        let mut disk = Self {
            folder: folder.to_owned(),
            cannot_mount: mounted.err().map(|error| format!("nothing can be mounted here: {error:#}")),
            cannot_lose_power: None,
        };
        disk.cannot_lose_power = disk.cannot_mount.clone().or_else(|| {
            let tried = Image::new(&folder.join("tried"), None).and_then(|image| image.mount().map(drop));
            tried.err().map(|error| format!("no file system on a file can be mounted here: {error:#}"))
        });
        if let Some(why) = disk.cannot_mount.as_ref().or(disk.cannot_lose_power.as_ref()) {
            println!("NOT ALL CAN BE TRIED: {why}");
        }
        Ok(disk)
    }
}

/// Something mounted. Dropping it unmounts it.
#[derive(Debug)]
pub(super) struct Mount(PathBuf);

/// Mounts `what` at a folder.
pub(super) fn mount(kind: &str, options: &str, what: &Path, at: &Path) -> Result<Mount> {
    let kind = if kind.is_empty() { Vec::new() } else { vec!["-t", kind] };
    probe(Command::new("mount").args(kind).args(["-o", options]).args([what, at]))?;
    Ok(Mount(at.to_owned()))
}

impl Mount {
    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// Changes the options.
    pub(super) fn remount(&self, options: &str) -> Result<()> {
        probe(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.0))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = probe(Command::new("umount").arg(&self.0)) {
            eprintln!("cannot unmount {}: {error:#}", self.0.display());
        }
    }
}

/// A file with an ext4 file system in it.
#[derive(Debug)]
pub(super) struct Image {
    file: PathBuf,
    at: PathBuf,
}

impl Image {
    /// A file system in a folder, with what is in `content`, all of it durable.
    pub(super) fn new(folder: &Path, content: Option<&Path>) -> Result<Self> {
        let image = Self { file: folder.join("image"), at: folder.join("mounted") };
        fs::create_dir_all(&image.at)?;
        fs::File::create(&image.file)?.set_len(16 << 20)?;
        probe(program("mkfs.ext4", "-q -F -b 4096 -m 0").arg(&image.file))?;
        if let Some(content) = content {
            let mount = image.mount()?;
            copy(content, &mount.folder().join(super::start::PLACE))?;
            probe(Command::new("sync").arg("-f").arg(mount.folder()))?;
        }
        Ok(image)
    }

    /// The same in another folder.
    pub(super) fn copy_to(&self, folder: &Path) -> Result<Self> {
        let image = Self { file: folder.join("image"), at: folder.join("mounted") };
        fs::create_dir_all(&image.at)?;
        probe(Command::new("cp").arg("--sparse=always").args([&self.file, &image.file]))?;
        Ok(image)
    }

    /// Without what ext4 does for programs that forget to make contents durable before names.
    pub(super) fn mount(&self) -> Result<Mount> {
        mount("ext4", "loop,noauto_da_alloc", &self.file, &self.at)
    }
}

/// Copies a folder with the times and permissions of its files.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    probe(Command::new("cp").args(["-a", "-T"]).args([from, to]).current_dir(root()))
}
