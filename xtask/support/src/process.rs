//! Running other programs: each is shown before it runs, and a failure names the command that repeats it.

use std::path::MAIN_SEPARATOR;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// `cargo` with these words as its arguments, in the root of the workspace.
pub fn cargo(arguments: &str) -> Command {
    program("cargo", arguments)
}

/// A program with these words as its arguments, in the root of the workspace.
pub fn program(name: &str, arguments: &str) -> Command {
    let mut command = Command::new(name);
    command.args(arguments.split_whitespace()).current_dir(crate::root());
    // What cargo says of this program's own package would make build scripts run again that look at such variables.
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(variable);
        }
    }
    command
}

/// Shows a command and runs it.
///
/// # Errors
/// If it does not start, or fails; the error names the command.
pub fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", display(command));
    let status = command.status().with_context(|| cannot_start(command))?;
    check(status).with_context(|| failed(command))
}

/// Runs a command that must succeed, without showing what it prints.
///
/// # Errors
/// If it does not start, or fails; the error is its first line that starts with `error`, or its first line.
pub fn probe(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.starts_with("error")).or_else(|| said.lines().next());
    bail!("{}", line.unwrap_or("it failed and did not say why").trim_start_matches("error: "));
}

/// The standard output of a command that must succeed.
///
/// # Errors
/// As [`run`].
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(command))?;
    check(output.status).with_context(|| failed(command))?;
    Ok(output.stdout)
}

/// The command as one would type it in the root of the workspace.
pub fn display(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value
            && name != "CARGO_TERM_COLOR"
        {
            words.push(format!("{}={}", name.to_string_lossy(), quote(&value.to_string_lossy())));
        }
    }
    words.push(quote(&command.get_program().to_string_lossy()));
    words.extend(command.get_args().map(|word| quote(&word.to_string_lossy())));
    words.join(" ").replace(&format!("{}{MAIN_SEPARATOR}", crate::root().display()), "")
}

/// A time as `12m 03s`.
pub fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:>2}m {:02}s", seconds / 60, seconds % 60)
}

fn quote(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

/// The error of a command that does not start.
pub fn cannot_start(command: &Command) -> String {
    format!("cannot run `{}`; is it installed?", command.get_program().to_string_lossy())
}

fn failed(command: &Command) -> String {
    format!("`{}` failed", display(command))
}

/// Demands success.
///
/// # Errors
/// With the exit code or the signal.
pub fn check(status: ExitStatus) -> Result<()> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => bail!("exit code {code}"),
        None => bail!("it was killed ({status})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = cargo("doc --no-deps");
        command.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(display(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
        let mut command = Command::new(crate::root().join("target/debug/corpus"));
        command.arg("--self-test");
        assert_eq!(display(&command).replace('\\', "/"), "target/debug/corpus --self-test");
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(&mut cargo("no-such-command")).unwrap_err();
        assert_eq!(format!("{error:#}"), "`cargo no-such-command` failed: exit code 101");
        let error = run(&mut program("no-such-program", "")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `no-such-program`; is it installed?");
    }
}
