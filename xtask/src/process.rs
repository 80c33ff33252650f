//! Running other programs: each is shown before it runs, and a failure names the command that repeats it.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::test::Counts;

/// `cargo` with these words as its arguments, in the root of the workspace.
pub(crate) fn cargo(arguments: &str) -> Command {
    program("cargo", arguments)
}

/// A program with these words as its arguments, in the root of the workspace.
pub(crate) fn program(name: &str, arguments: &str) -> Command {
    let mut command = Command::new(name);
    command.args(arguments.split_whitespace()).current_dir(crate::root());
    command
}

/// Shows a command and runs it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", display(command));
    let status = command.status().with_context(|| cannot_start(command))?;
    check(status).with_context(|| failed(command))
}

/// Shows a command and runs it, and counts the tests that its output tells of. The output passes through. The caller
/// names the command in an error.
pub(crate) fn run_and_count(command: &mut Command, counts: &mut Counts) -> Result<()> {
    println!("$ {}", display(command));
    if io::stderr().is_terminal() && std::env::var_os("CARGO_TERM_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = piped.with_context(|| cannot_start(command))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let seen = thread::scope(|scope| {
        let err = scope.spawn(|| pass_through(err, io::stderr()));
        let seen = pass_through(out, io::stdout());
        seen + err.join().unwrap_or_default()
    });
    *counts += seen;
    check(child.wait().with_context(|| cannot_start(command))?)
}

/// Whether a command runs and succeeds. Its output is not shown; what it said last is the error.
pub(crate) fn probe(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.starts_with("error")).or_else(|| said.lines().next());
    bail!("{}", line.unwrap_or("it failed and did not say why").trim_start_matches("error: "));
}

/// The standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| cannot_start(command))?;
    check(output.status).with_context(|| failed(command))?;
    Ok(output.stdout)
}

/// The command as one would type it.
pub(crate) fn display(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value
            && name != "CARGO_TERM_COLOR"
        {
            words.push(format!("{}={}", name.to_string_lossy(), quote(&value.to_string_lossy())));
        }
    }
    words.push(command.get_program().to_string_lossy().into_owned());
    words.extend(command.get_args().map(|word| quote(&word.to_string_lossy())));
    words.join(" ")
}

/// A time as `12m 03s`.
pub(crate) fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:>2}m {:02}s", seconds / 60, seconds % 60)
}

fn quote(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}

fn cannot_start(command: &Command) -> String {
    format!("cannot run `{}`; is it installed?", command.get_program().to_string_lossy())
}

fn failed(command: &Command) -> String {
    format!("`{}` failed", display(command))
}

fn check(status: ExitStatus) -> Result<()> {
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => bail!("exit code {code}"),
        None => bail!("it was killed ({status})"),
    }
}

/// Copies a stream line by line. When nobody reads our output any more, reading goes on, so that the child can end.
fn pass_through(stream: Option<impl Read>, mut to: impl Write) -> Counts {
    let mut counts = Counts::default();
    let Some(stream) = stream else { return counts };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|size| size > 0) {
        counts += Counts::told_by(&String::from_utf8_lossy(&line));
        let _ = to.write_all(&line).and_then(|()| to.flush());
        line.clear();
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = cargo("doc --no-deps");
        command.env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(display(&command), "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps");
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(&mut cargo("no-such-command")).unwrap_err();
        assert_eq!(format!("{error:#}"), "`cargo no-such-command` failed: exit code 101");
        let error = run(&mut program("no-such-program", "")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `no-such-program`; is it installed?");
    }

    #[test]
    fn output_passes_through_and_is_counted() {
        let mut to = Vec::new();
        let stream = &b"running\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\xff no newline"[..];
        let counts = pass_through(Some(stream), &mut to);
        assert_eq!(to, stream);
        assert_eq!(counts, Counts { passed: 3, failed: 0, skipped: 1 });
    }
}
