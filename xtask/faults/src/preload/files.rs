//! Which files concern us.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{DIR, c_char, c_int};

use crate::plan::Plan;

/// The open files that concern us. A small process has no more.
static OPEN: [AtomicBool; 4096] = [const { AtomicBool::new(false) }; 4096];

/// What a call is about.
#[derive(Clone, Copy)]
pub(crate) enum Subject {
    /// A path, relative to an open folder unless it is absolute. An empty one is the open file.
    At(c_int, *const c_char),
    /// An open file.
    Open(c_int),
    /// An open folder.
    Folder(*mut DIR),
}

impl Subject {
    /// Whether it lies in the folder of the plan.
    pub(crate) fn concerns(self, plan: &Plan) -> bool {
        match self {
            Self::At(at, path) => match bytes(path) {
                path if path.starts_with(b"/") => {
                    let rest = path.strip_prefix(plan.under.as_slice());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
                }
                _ => Self::Open(at).concerns(plan),
            },
            Self::Open(fd) => entry(fd).is_some_and(|open| open.load(Ordering::Relaxed)),
            Self::Folder(dir) => Self::Open(dirfd(dir)).concerns(plan),
        }
    }

    /// The path, for the log.
    pub(crate) fn path(self) -> Vec<u8> {
        match self {
            Self::At(at, path) if bytes(path).is_empty() => Self::Open(at).path(),
            Self::At(_, path) => bytes(path).to_vec(),
            Self::Open(fd) => path_of(fd),
            Self::Folder(dir) => path_of(dirfd(dir)),
        }
    }
}

/// Remembers a file that was opened and concerns us.
pub(crate) fn opened(fd: c_int) {
    if let Some(open) = entry(fd) {
        open.store(true, Ordering::Relaxed);
    }
}

/// Forgets a file that is closed.
pub(crate) fn closed(fd: c_int) {
    if let Some(open) = entry(fd) {
        open.store(false, Ordering::Relaxed);
    }
}

fn entry(fd: c_int) -> Option<&'static AtomicBool> {
    usize::try_from(fd).ok().and_then(|fd| OPEN.get(fd))
}

/// The file descriptor of an open folder.
pub(crate) fn dirfd(dir: *mut DIR) -> c_int {
    // SAFETY: whoever called us got it from `opendir` and has not closed it.
    if dir.is_null() { -1 } else { unsafe { libc::dirfd(dir) } }
}

fn bytes<'a>(path: *const c_char) -> &'a [u8] {
    // SAFETY: whoever called us promises a C string that outlives the call.
    if path.is_null() { b"" } else { unsafe { CStr::from_ptr(path) }.to_bytes() }
}

/// The path of an open file, past our own functions.
fn path_of(fd: c_int) -> Vec<u8> {
    let link = format!("/proc/self/fd/{fd}\0");
    let mut path = vec![0_u8; 4096];
    // SAFETY: the link is a C string, and the vector has as many bytes as are said.
    let length =
        unsafe { libc::syscall(libc::SYS_readlinkat, libc::AT_FDCWD, link.as_ptr(), path.as_mut_ptr(), path.len()) };
    path.truncate(usize::try_from(length).unwrap_or(0));
    path
}
