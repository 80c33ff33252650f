//! `cargo xtask interchange`: builds the program that compares, and starts the server that contexts on S3 need.

use std::ffi::OsString;

use anyhow::Result;
use support::process;

use crate::faults::{asks_for_help, on};
use crate::programs::Program;
use crate::services::{Service, Services};

/// Compiles the program and runs it with these arguments.
pub(crate) fn run(rest: &[OsString]) -> Result<()> {
    Program::INTERCHANGE.build()?;
    let mut command = Program::INTERCHANGE.command()?;
    command.args(rest);
    let needs_server = !asks_for_help(rest) && on(&mut rest.to_vec())? == "s3";
    let services = needs_server.then(|| Services::start(&[Service::S3])).transpose()?;
    if let Some(services) = &services {
        services.add_to(&mut command);
    }
    process::run(&mut command)
}
