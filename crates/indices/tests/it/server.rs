//! A server of HTTP that does what a test wants, and keeps what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers with a status, more headers, and a body.
    Answer(u16, &'static str, String),
    /// Answers with server-sent events, in these pieces, after so many milliseconds each; then breaks off if asked.
    Events(Vec<(u64, Vec<u8>)>, End),
    /// Says that more bytes come than do.
    Truncated(String),
    /// Resets the connection.
    Reset,
    /// Never answers.
    Silence,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Orderly,
    Reset,
    Never,
}

impl Reply {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::Answer(200, "content-type: application/json\r\n", body.into())
    }

    pub(crate) fn events(stream: &str) -> Self {
        Self::Events(vec![(0, stream.as_bytes().to_vec())], End::Orderly)
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Listens on this machine until it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    /// How many requests are being answered, and how many were at most.
    load: Arc<Mutex<(usize, usize)>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers the nth request, from 0 on, with what the function says.
    pub(crate) async fn new(reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::gathering(0, reply).await
    }

    /// Answers no request before so many have come, for some seconds.
    pub(crate) async fn gathering(
        count: usize,
        reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let load: Arc<Mutex<(usize, usize)>> = Arc::default();
        let (kept, busy, reply) = (Arc::clone(&requests), Arc::clone(&load), Arc::new(reply));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, busy, reply) = (Arc::clone(&kept), Arc::clone(&busy), Arc::clone(&reply));
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some(request) = read(&mut stream).await else { return };
                    let n = {
                        let mut kept = kept.lock().unwrap();
                        kept.push(request.clone());
                        kept.len() - 1
                    };
                    {
                        let mut busy = busy.lock().unwrap();
                        busy.0 += 1;
                        busy.1 = busy.1.max(busy.0);
                    }
                    for _ in 0..500 {
                        if kept.lock().unwrap().len() >= count {
                            break;
                        }
                        sleep(Duration::from_millis(10)).await;
                    }
                    // Other requests that come at the same time are counted as such.
                    sleep(Duration::from_millis(5)).await;
                    busy.lock().unwrap().0 -= 1;
                    // The client may be gone.
                    let _ = answer(stream, reply(n, &request)).await;
                });
            }
        });
        Self { url, requests, load, task }
    }

    /// Answers all requests, one after the other, with these; the last one again and again.
    pub(crate) async fn with(replies: Vec<Reply>) -> Self {
        Self::new(move |n, _| replies[n.min(replies.len() - 1)].clone()).await
    }

    pub(crate) fn most_at_a_time(&self) -> usize {
        self.load.lock().unwrap().1
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(Request { head: head.to_owned(), body: body.to_owned() });
        }
    }
}

async fn answer(mut stream: TcpStream, reply: Reply) -> std::io::Result<()> {
    let mut end = End::Orderly;
    match reply {
        Reply::Answer(status, headers, body) => {
            let head =
                format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        Reply::Events(pieces, how) => {
            let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            for (wait, piece) in pieces {
                sleep(Duration::from_millis(wait)).await;
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                stream.write_all(&piece).await?;
                stream.write_all(b"\r\n").await?;
                stream.flush().await?;
            }
            end = how;
            if end == End::Orderly {
                stream.write_all(b"0\r\n\r\n").await?;
            }
        }
        Reply::Truncated(body) => {
            let head = "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        Reply::Reset => end = End::Reset,
        Reply::Silence => end = End::Never,
    }
    match end {
        End::Orderly => stream.shutdown().await,
        End::Reset => {
            stream.set_zero_linger()?;
            Ok(())
        }
        // Until the client gives up.
        End::Never => stream.read(&mut [0]).await.map(drop),
    }
}
