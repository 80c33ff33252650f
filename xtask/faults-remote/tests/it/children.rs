//! Tests that go on in a process of their own, where the environment has other variables.

use std::env;
use std::process::Stdio;

use tokio::process::Command;

/// Set in such a process.
const IS_CHILD: &str = "COLCA_TEST_IS_CHILD";

/// Whether this process is one.
pub(crate) fn is_child() -> bool {
    env::var_os(IS_CHILD).is_some()
}

/// Runs the test of this name in a process with these variables, besides those that lead to the servers, and demands that
/// it passes there. Returns what it printed.
pub(crate) async fn run(module_path: &str, name: &str, variables: &[(&str, &str)]) -> String {
    assert!(!is_child(), "a child starts no other one");
    let (_, modules) = module_path.split_once("::").unwrap();
    let servers = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("COLCA_"));
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("{modules}::{name}"), "--nocapture"]);
    command.env_clear().envs(servers).envs(variables.iter().copied()).env(IS_CHILD, "1");
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let has_run = stdout.contains("test result: ok. 1 passed; 0 failed; 0 ignored;");
    assert!(output.status.success() && has_run, "{stdout}\n{stderr}");
    stdout.into_owned()
}
