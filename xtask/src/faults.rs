//! `cargo xtask faults`: the package `faults` for disks, and `faults-remote` for what servers keep.

use std::ffi::OsString;

use anyhow::{Result, bail};
use support::process;

use crate::programs::Program;
use crate::services::{Service, Services};

/// Runs the program for what follows `--on`, by default for disks, with the other arguments.
pub(crate) fn run(mut arguments: Vec<OsString>) -> Result<()> {
    match on(&mut arguments)?.as_str() {
        "disk" => Program::FAULTS.run(&arguments),
        "s3" => {
            Program::FAULTS_REMOTE.build()?;
            let mut command = Program::FAULTS_REMOTE.command()?;
            command.args(&arguments);
            if !arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
                let services = Services::start(&[Service::S3])?;
                services.add_to(&mut command);
                return process::run(&mut command);
            }
            process::run(&mut command)
        }
        other => bail!("there are faults on 'disk' and 's3', not on '{other}'"),
    }
}

/// Takes `--on WHERE` out of the arguments.
fn on(arguments: &mut Vec<OsString>) -> Result<String> {
    let Some(at) = arguments.iter().position(|argument| argument == "--on") else { return Ok("disk".to_owned()) };
    let mut taken = arguments.drain(at..arguments.len().min(at + 2)).skip(1);
    match taken.next() {
        Some(value) => Ok(value.to_string_lossy().into_owned()),
        None => bail!("--on lacks a value: disk or s3"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_faults_are_on_is_taken_out_of_the_arguments() {
        let check = |given: &str, expected: &str, rest: &str| {
            let mut arguments: Vec<OsString> = given.split_whitespace().map(OsString::from).collect();
            assert_eq!(on(&mut arguments).unwrap(), expected, "{given}");
            assert_eq!(arguments.join(" ".as_ref()), rest, "{given}");
        };
        check("", "disk", "");
        check("--sample 10", "disk", "--sample 10");
        check("--sample 10 --on s3 --only kills", "s3", "--sample 10 --only kills");
        assert!(on(&mut vec!["--on".into()]).is_err());
    }
}
