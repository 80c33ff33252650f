//! The functions of the C library that stand in front of the real ones.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{AT_FDCWD, DIR, c_char, c_int, c_uint, c_void, dirent64, iovec, mode_t, off64_t, size_t, ssize_t};

use crate::files;
use crate::files::Subject::{self, At, Folder, Open};
use crate::plan::{self, Class, Verdict, plan};

/// What is to become of a call. It concerns us if one of its subjects does.
fn judge(function: &str, class: Class, subjects: &[Subject]) -> Verdict {
    match plan() {
        Some(plan) if subjects.iter().any(|subject| subject.concerns(plan)) => plan.next(function, class, || {
            let paths: Vec<_> = subjects.iter().map(|subject| subject.path()).collect();
            paths.join(&b" -> "[..])
        }),
        _ => Verdict::Go,
    }
}

fn fail(error: c_int) {
    // SAFETY: the C library gives the place of this thread's error number.
    unsafe { *libc::__errno_location() = error };
}

/// The real function of this name and type.
macro_rules! real {
    ($name:ident as $type:ty) => {{
        static ADDRESS: AtomicUsize = AtomicUsize::new(0);
        let mut address = ADDRESS.load(Ordering::Relaxed);
        if address == 0 {
            let name = concat!(stringify!($name), "\0");
            // SAFETY: the name is a C string.
            address = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) } as usize;
            ADDRESS.store(address, Ordering::Relaxed);
        }
        // SAFETY: the C library's function of that name has that type, as the man page says.
        unsafe { mem::transmute::<usize, $type>(address) }
    }};
}

/// Functions that give 0 or a count, and -1 if they fail: what they do, and to what.
macro_rules! calls {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty = $class:ident, $($subject:expr),+;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $ty),*) -> $ret {
            let real = real!($name as unsafe extern "C" fn($($ty),*) -> $ret);
            match judge(stringify!($name), Class::$class, &[$($subject),+]) {
                // SAFETY: the arguments are those of whoever called us.
                Verdict::Go => unsafe { real($($arg),*) },
                Verdict::Half => plan::die(),
                Verdict::Pretend => 0,
                Verdict::Fail(error) => {
                    fail(error);
                    -1
                }
            }
        }
    )*};
}

calls! {
    fn read(fd: c_int, buf: *mut c_void, size: size_t) -> ssize_t = Look, Open(fd);
    fn pread64(fd: c_int, buf: *mut c_void, size: size_t, at: off64_t) -> ssize_t = Look, Open(fd);
    fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t = Write, Open(fd);
    fn ftruncate64(fd: c_int, size: off64_t) -> c_int = Grow, Open(fd);
    fn fsync(fd: c_int) -> c_int = Sync, Open(fd);
    fn fdatasync(fd: c_int) -> c_int = Sync, Open(fd);
    fn flock(fd: c_int, how: c_int) -> c_int = Lock, Open(fd);
    fn fchmod(fd: c_int, mode: mode_t) -> c_int = Change, Open(fd);
    fn chmod(path: *const c_char, mode: mode_t) -> c_int = Change, At(AT_FDCWD, path);
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int = Grow, At(AT_FDCWD, path);
    fn rmdir(path: *const c_char) -> c_int = Change, At(AT_FDCWD, path);
    fn unlink(path: *const c_char) -> c_int = Change, At(AT_FDCWD, path);
    fn unlinkat(at: c_int, path: *const c_char, flags: c_int) -> c_int = Change, At(at, path);
    fn rename(from: *const c_char, to: *const c_char) -> c_int = Grow, At(AT_FDCWD, from), At(AT_FDCWD, to);
    fn renameat(a: c_int, from: *const c_char, b: c_int, to: *const c_char) -> c_int = Grow, At(a, from), At(b, to);
    fn renameat2(a: c_int, from: *const c_char, b: c_int, to: *const c_char, flags: c_uint) -> c_int
        = Grow, At(a, from), At(b, to);
    fn link(from: *const c_char, to: *const c_char) -> c_int = Grow, At(AT_FDCWD, from), At(AT_FDCWD, to);
    fn linkat(a: c_int, from: *const c_char, b: c_int, to: *const c_char, flags: c_int) -> c_int
        = Grow, At(a, from), At(b, to);
    fn statx(at: c_int, path: *const c_char, flags: c_int, mask: c_uint, buf: *mut libc::statx) -> c_int
        = Look, At(at, path);
    fn stat64(path: *const c_char, buf: *mut libc::stat64) -> c_int = Look, At(AT_FDCWD, path);
    fn lstat64(path: *const c_char, buf: *mut libc::stat64) -> c_int = Look, At(AT_FDCWD, path);
    fn fstat64(fd: c_int, buf: *mut libc::stat64) -> c_int = Look, Open(fd);
}

/// Writes; here half of it can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buf: *const c_void, n: size_t) -> ssize_t {
    let real = real!(write as unsafe extern "C" fn(c_int, *const c_void, size_t) -> ssize_t);
    match judge("write", Class::Write, &[Open(fd)]) {
        Verdict::Fail(error) => {
            fail(error);
            -1
        }
        Verdict::Half => {
            // SAFETY: a part of what whoever called us gave.
            unsafe { real(fd, buf, n / 2) };
            plan::die()
        }
        // SAFETY: the arguments are those of whoever called us.
        Verdict::Go | Verdict::Pretend => unsafe { real(fd, buf, n) },
    }
}

/// Functions that open a file, which is watched from then on. The mode is passed as it would be if it was not optional.
macro_rules! opens {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) = $subject:expr;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($arg: $ty,)* flags: c_int, mode: mode_t) -> c_int {
            let real = real!($name as unsafe extern "C" fn($($ty,)* c_int, mode_t) -> c_int);
            let class = match flags {
                flags if flags & libc::O_CREAT != 0 => Class::Grow,
                flags if flags & libc::O_ACCMODE != libc::O_RDONLY => Class::Change,
                _ => Class::Look,
            };
            let subject = $subject;
            if let Verdict::Fail(error) = judge(stringify!($name), class, &[subject]) {
                fail(error);
                return -1;
            }
            // SAFETY: the arguments are those of whoever called us.
            let fd = unsafe { real($($arg,)* flags, mode) };
            if fd >= 0 && let Some(plan) = plan().filter(|plan| subject.concerns(plan)) {
                files::opened(fd);
                if flags & libc::O_CREAT != 0 {
                    plan.keep(&subject.path());
                }
            }
            fd
        }
    )*};
}

opens! {
    fn open(path: *const c_char) = At(AT_FDCWD, path);
    fn open64(path: *const c_char) = At(AT_FDCWD, path);
    fn openat(at: c_int, path: *const c_char) = At(at, path);
    fn openat64(at: c_int, path: *const c_char) = At(at, path);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    files::closed(fd);
    let real = real!(close as unsafe extern "C" fn(c_int) -> c_int);
    // SAFETY: the argument is that of whoever called us.
    unsafe { real(fd) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn opendir(path: *const c_char) -> *mut DIR {
    let subject = At(AT_FDCWD, path);
    if let Verdict::Fail(error) = judge("opendir", Class::Look, &[subject]) {
        fail(error);
        return ptr::null_mut();
    }
    let real = real!(opendir as unsafe extern "C" fn(*const c_char) -> *mut DIR);
    // SAFETY: the argument is that of whoever called us.
    let dir = unsafe { real(path) };
    if plan().is_some_and(|plan| subject.concerns(plan)) {
        files::opened(files::dirfd(dir));
    }
    dir
}

#[unsafe(no_mangle)]
unsafe extern "C" fn readdir64(dir: *mut DIR) -> *mut dirent64 {
    if let Verdict::Fail(error) = judge("readdir64", Class::Look, &[Folder(dir)]) {
        fail(error);
        return ptr::null_mut();
    }
    let real = real!(readdir64 as unsafe extern "C" fn(*mut DIR) -> *mut dirent64);
    // SAFETY: the argument is that of whoever called us.
    unsafe { real(dir) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn closedir(dir: *mut DIR) -> c_int {
    files::closed(files::dirfd(dir));
    let real = real!(closedir as unsafe extern "C" fn(*mut DIR) -> c_int);
    // SAFETY: the argument is that of whoever called us.
    unsafe { real(dir) }
}
