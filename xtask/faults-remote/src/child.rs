//! Writers in processes of their own, which can be killed.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::s3::Remote;
use crate::state::{State, commit, described, finish, prepare};
use crate::without;

/// Arguments that make this program a writer.
pub const WRITE: &str = "write";
/// Arguments that make it a writer that waits between looking and committing.
pub const RACE: &str = "race";
/// Arguments that make it a writer that goes on until it is killed.
pub const LOOP: &str = "loop";

/// A writer in another process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts one that writes this state there.
    pub fn start(how: &str, remote: &Remote, state: &State) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["child", how, remote.prefix(), &remote.port().to_string()]).args(state.arguments());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, lines }
    }

    /// The next line that it prints; none when it has ended.
    pub async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.unwrap()
    }

    /// Lets one go on that waits.
    pub async fn go_on(&mut self) {
        // It may have ended.
        let _ = self.input.write_all(b"\n").await;
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }
}

/// What a child does: writes and prints how that ended, `done` or an error.
pub fn run(arguments: &[String]) {
    let [how, prefix, port, state @ ..] = arguments else { panic!("too few arguments") };
    let remote = Remote::at(prefix).through(port.parse().unwrap());
    let state = State::from_arguments(state);
    let place = remote.place();
    without::on_this_thread(async {
        match how.as_str() {
            WRITE => tell(commit(&place, &state).await),
            RACE => {
                let writer = prepare(&place).await;
                println!("ready");
                std::io::stdin().read_line(&mut String::new()).unwrap();
                match writer {
                    Ok(writer) => tell(finish(writer, &state).await),
                    Err(e) => tell(Err(e)),
                }
            }
            LOOP => {
                for round in state.round().. {
                    tell(commit(&place, &state.at(round)).await);
                }
            }
            other => panic!("'{other}' is nothing that a child does"),
        }
    });
}

fn tell(outcome: persist::Result<()>) {
    match outcome {
        Ok(()) => println!("done"),
        Err(e @ persist::Error::Conflict { .. }) => println!("conflict: {}", described(&e)),
        Err(e) => println!("error: {}", described(&e)),
    }
}
