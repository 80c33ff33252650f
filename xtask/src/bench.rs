//! `cargo xtask bench`: builds the program that measures, and starts the server that one of its rows needs.

use std::ffi::OsString;

use anyhow::Result;
use support::process;

use crate::programs::Program;
use crate::services::{Service, Services};

/// The row that needs a server. Without names all rows are measured.
const WITH_SERVER: &str = "s3";

/// Compiles the program and runs it with these arguments.
pub(crate) fn run(rest: &[OsString]) -> Result<()> {
    Program::BENCH.build()?;
    let mut command = Program::BENCH.command()?;
    command.args(rest);
    let services = needs_server(rest).then(|| Services::start(&[Service::S3])).transpose()?;
    if let Some(services) = &services {
        services.add_to(&mut command);
    }
    process::run(&mut command)
}

fn needs_server(arguments: &[OsString]) -> bool {
    let is = |argument: &OsString, text: &str| argument.to_str() == Some(text);
    let mut names = arguments.iter().enumerate().filter(|(at, argument)| {
        let is_value = *at > 0 && is(&arguments[at - 1], "--json");
        !is_value && !argument.to_string_lossy().starts_with('-')
    });
    let helps = arguments.iter().any(|argument| is(argument, "--help") || is(argument, "-h"));
    !helps && (names.clone().next().is_none() || names.any(|(_, name)| is(name, WITH_SERVER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_started_for_the_row_that_needs_it() {
        let check = |arguments: &str, expected| {
            let arguments: Vec<OsString> = arguments.split_whitespace().map(OsString::from).collect();
            assert_eq!(needs_server(&arguments), expected, "{arguments:?}");
        };
        check("", true);
        check("--quick --json times.json", true);
        check("open s3", true);
        check("open --json s3", false);
        check("--help", false);
    }
}
