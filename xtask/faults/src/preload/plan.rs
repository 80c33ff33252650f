//! What is to go wrong, and when.

use std::env;
use std::ffi::CString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use libc::{c_int, c_uint};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `count`: nothing.
    Count,
    /// `kill`: the process is killed before that call.
    Kill,
    /// `half`: if that call writes, half of it is written, and then the process is killed.
    Half,
    /// `eio`: that call fails.
    Fail,
    /// `enospc`: from that call on, those that need space fail.
    Full,
    /// `erofs`: from that call on, those that change something fail.
    ReadOnly,
    /// `fsync`: from that call on, those that make durable fail.
    Unsynced,
    /// `nosync`: those that make durable do nothing and say that they have.
    PretendSync,
    /// `nolock`: those that lock do nothing and say that they have.
    PretendLock,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It changes nothing.
    Look,
    /// It changes something, and needs no space for it.
    Change,
    /// It changes something, and may need space for it.
    Grow,
    /// It writes bytes.
    Write,
    /// It makes durable.
    Sync,
    /// It locks.
    Lock,
}

/// What to do with a call.
pub(crate) enum Verdict {
    Go,
    /// Fail with this error.
    Fail(c_int),
    /// Do half of it, and be killed.
    Half,
    /// Do nothing and succeed.
    Pretend,
}

/// What the environment says.
pub(crate) struct Plan {
    pub(crate) under: Vec<u8>,
    kind: Kind,
    at: u64,
    log: Option<c_int>,
    kept: Option<Vec<u8>>,
}

/// The plan, if there is one.
pub(crate) fn plan() -> Option<&'static Plan> {
    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    PLAN.get_or_init(Plan::of_environment).as_ref()
}

impl Plan {
    fn of_environment() -> Option<Self> {
        let under = env::var_os("FAULTS_UNDER")?.into_vec();
        let kind = match env::var("FAULTS_KIND").as_deref() {
            Ok("kill") => Kind::Kill,
            Ok("half") => Kind::Half,
            Ok("eio") => Kind::Fail,
            Ok("enospc") => Kind::Full,
            Ok("erofs") => Kind::ReadOnly,
            Ok("fsync") => Kind::Unsynced,
            Ok("nosync") => Kind::PretendSync,
            Ok("nolock") => Kind::PretendLock,
            _ => Kind::Count,
        };
        let at = env::var("FAULTS_AT").ok().and_then(|at| at.parse().ok()).unwrap_or(1);
        let log = env::var_os("FAULTS_LOG").and_then(|path| open_log(path.as_bytes()));
        let kept = env::var_os("FAULTS_KEPT").map(OsStringExt::into_vec);
        Some(Self { under, kind, at, log, kept })
    }

    /// Gives a file that was made a second name where files are kept, if they are, past our own functions.
    pub(crate) fn keep(&self, path: &[u8]) {
        let Some(kept) = &self.kept else { return };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let names = (CString::new(path), CString::new([kept, &b"/"[..], name].concat()));
        if let (Ok(from), Ok(to)) = names {
            let here = libc::AT_FDCWD;
            // SAFETY: both paths are C strings that outlive the call.
            unsafe { libc::syscall(libc::SYS_linkat, here, from.as_ptr(), here, to.as_ptr(), 0) };
        }
    }

    /// Counts a call that concerns us, and says what is to become of it. `path` is only asked for the log.
    pub(crate) fn next(&self, function: &str, class: Class, path: impl FnOnce() -> Vec<u8>) -> Verdict {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(log) = self.log {
            let mut line = format!("{count} {class:?} {function} ").into_bytes();
            line.extend(path());
            line.push(b'\n');
            // SAFETY: the pointer and the length are those of one vector.
            unsafe { libc::syscall(libc::SYS_write, log, line.as_ptr(), line.len()) };
        }
        let (now, since) = (count == self.at, count >= self.at);
        match self.kind {
            Kind::Kill if now => die(),
            Kind::Half if now && class == Class::Write => Verdict::Half,
            Kind::Half if now => die(),
            Kind::Fail if now => Verdict::Fail(libc::EIO),
            Kind::Full if since && matches!(class, Class::Grow | Class::Write) => Verdict::Fail(libc::ENOSPC),
            Kind::ReadOnly if since && matches!(class, Class::Change | Class::Grow | Class::Write) => {
                Verdict::Fail(libc::EROFS)
            }
            Kind::Unsynced if since && class == Class::Sync => Verdict::Fail(libc::EIO),
            Kind::PretendSync if class == Class::Sync => Verdict::Pretend,
            Kind::PretendLock if class == Class::Lock => Verdict::Pretend,
            _ => Verdict::Go,
        }
    }
}

/// Opens the log past our own functions.
fn open_log(path: &[u8]) -> Option<c_int> {
    let path = CString::new(path).ok()?;
    let (flags, mode): (c_int, c_uint) = (libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC, 0o644);
    // SAFETY: the path is a C string that outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, mode) };
    c_int::try_from(fd).ok().filter(|fd| *fd >= 0)
}

/// Ends the process as `kill -9` does.
pub(crate) fn die() -> ! {
    loop {
        // SAFETY: these take and give numbers only.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}
