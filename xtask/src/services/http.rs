//! Plain requests to servers on this machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Sends a request, given by its method and path, with lines of the head (each with its end) and a body, and returns the
/// answer.
///
/// # Errors
/// If nothing listens on the port, or what comes back is no answer.
pub(super) fn send(port: u16, request: &str, head: &str, body: &str) -> io::Result<Answer> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!("{head}Host: 127.0.0.1:{port}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    server.write_all(format!("{request} HTTP/1.1\r\n{head}\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    parse(&answer).ok_or(io::ErrorKind::InvalidData.into())
}

/// The answer in what a server sent until it closed the connection, if there is one.
fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let check = |answer, expected: Option<(u16, &str)>| {
            let expected = expected.map(|(status, body)| Answer { status, body: body.to_owned() });
            assert_eq!(parse(answer), expected, "{answer}");
        };
        check("HTTP/1.1 200 OK\r\nServer: s\r\n\r\nbody\r\n\r\nof it", Some((200, "body\r\n\r\nof it")));
        check("HTTP/1.0 409 Conflict\r\n\r\n", Some((409, "")));
        check("HTTP/1.1 200 OK\r\nServer: s", None);
        check("", None);
    }
}
