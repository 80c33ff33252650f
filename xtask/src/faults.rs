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
            let services = if asks_for_help(&arguments) { vec![] } else { vec![Service::S3] };
            let services = Services::start(&services)?;
            services.add_to(&mut command);
            process::run(command.args(&arguments))
        }
        other => bail!("there are faults on 'disk' and 's3', not on '{other}'"),
    }
}

/// Whether the arguments only ask what there is to say.
pub(crate) fn asks_for_help(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == "--help" || argument == "-h")
}

/// Takes `--on WHERE` or `--on=WHERE` out of the arguments. Returns where; `disk` if nothing is said.
pub(crate) fn on(arguments: &mut Vec<OsString>) -> Result<String> {
    let is_on = |argument: &OsString| argument == "--on" || argument.to_string_lossy().starts_with("--on=");
    let Some(at) = arguments.iter().position(is_on) else { return Ok("disk".to_owned()) };
    let name = arguments.remove(at).to_string_lossy().into_owned();
    match name.split_once('=') {
        Some((_, value)) => Ok(value.to_owned()),
        None if at < arguments.len() => Ok(arguments.remove(at).to_string_lossy().into_owned()),
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
        check("--on=s3 --only kills", "s3", "--only kills");
        assert!(on(&mut vec!["--on".into()]).is_err());
    }
}
