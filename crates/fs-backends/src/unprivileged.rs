//! Runs tests of file permissions as a user whom permissions bind.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

/// The user and the group that own nothing.
const NOBODY: u32 = 65534;

/// Set in a child process, so that it never starts another one.
const IS_CHILD: &str = "COLCA_TEST_IS_UNPRIVILEGED";

/// Runs `test` if permissions bind the current user. Otherwise runs the test of this name in a child process of an
/// unprivileged user, and passes if that passes. Where the system does not allow that, the test is skipped, and says so.
pub(crate) fn run(module_path: &str, name: &str, test: impl FnOnce()) {
    let dir = tempfile::tempdir().unwrap();
    if permissions_bind(dir.path()) {
        return test();
    }
    let in_dir = dir.path().display();
    assert!(std::env::var_os(IS_CHILD).is_none(), "permissions bind nobody in {in_dir}; set TMPDIR to another folder");
    let (_, modules) = module_path.split_once("::").unwrap();
    let full_name = format!("{modules}::{name}");
    match run_as_nobody(dir.path(), &full_name) {
        Ok(output) => {
            let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            let has_run = stdout.contains("test result: ok. 1 passed; 0 failed; 0 ignored;");
            assert!(output.status.success() && has_run, "as an unprivileged user: {stdout}\n{stderr}");
        }
        Err(e) if is_refused(&e) => {
            // Not through `eprintln!`, which the test runner captures.
            let _ = writeln!(io::stderr(), "{full_name} is skipped: privileges cannot be dropped: {e}");
        }
        Err(e) => panic!("cannot run {in_dir}/test as an unprivileged user: {e}; set TMPDIR to another folder"),
    }
}

fn permissions_bind(dir: &Path) -> bool {
    let file = dir.join("forbidden");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o000)).unwrap();
    match fs::read(&file) {
        Ok(_) => false,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::PermissionDenied);
            true
        }
    }
}

/// Runs one test from a copy of this program, since the folder that it lies in may be closed to others.
fn run_as_nobody(dir: &Path, full_name: &str) -> io::Result<Output> {
    let (program, temp) = (dir.join("test"), dir.join("tmp"));
    fs::copy(std::env::current_exe()?, &program)?;
    fs::create_dir(&temp)?;
    for (path, mode) in [(dir, 0o755), (&program, 0o755), (&temp, 0o777)] {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    let mut command = Command::new(program);
    command.args(["--exact", full_name, "--nocapture"]).current_dir(dir);
    command.env("TMPDIR", temp).env(IS_CHILD, "1").uid(NOBODY).gid(NOBODY).output()
}

/// Returns true if the system refuses to change the user: it is not allowed to, or has no such user.
fn is_refused(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::PERM, Errno::INVAL].iter().any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}
