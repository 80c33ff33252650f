//! Something between a client and its server that does what networks do.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What a client asks.
#[derive(Debug, Clone)]
pub struct Request {
    /// How many the proxy has seen before.
    pub number: usize,
    /// `GET`, `PUT` and so on.
    pub method: String,
    /// What is asked for, as it is in the request.
    pub path: String,
    /// The lines of the head after the first one.
    headers: Vec<String>,
    /// The content.
    pub body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The headers whose names start with this, each as a line.
    pub fn headers_of(&self, prefix: &str) -> Vec<&str> {
        let starts = |line: &&str| line.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        self.headers.iter().map(String::as_str).filter(starts).collect()
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It is passed on, and so is the answer.
    Pass,
    /// It is passed on without these headers.
    Without(&'static [&'static str]),
    /// It waits until the bell rings, and is passed on then even if the client has gone away.
    Late(Arc<Notify>),
    /// The connection is reset before it is passed on.
    ResetBefore,
    /// It is passed on, and the connection is reset instead of an answer.
    ResetAfter,
    /// It never leaves, and no answer comes.
    HangBefore,
    /// It is passed on, and no answer comes.
    HangAfter,
    /// This many bytes of its body are passed on; then both connections are reset.
    CutRequest(usize),
    /// This many bytes of the answer come back, then the connection is reset.
    CutAnswer(usize),
    /// It is passed on; one bit of this byte of the answer, counted from its end, is another when it comes back.
    FlipAnswer(usize),
    /// It is passed on; the answer comes back in pieces of this many bytes, ten in a second.
    Slow(usize),
    /// It is passed on; an answer with this status is replaced by an empty one with that status.
    Replace(&'static str, &'static str),
}

type Decide = dyn Fn(&Request) -> Fate + Send + Sync;

/// A proxy for plain HTTP. It lives as long as this does.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    seen: Arc<AtomicUsize>,
    settled: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens, and passes on to the server at `server` what `decide` lets through.
    pub async fn start(server: u16, decide: impl Fn(&Request) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let settled = Arc::new(AtomicUsize::new(0));
        let decide: Arc<Decide> = Arc::new(decide);
        let counts = (Arc::clone(&seen), Arc::clone(&settled));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (decide, (seen, settled)) = (Arc::clone(&decide), counts.clone());
                tokio::spawn(async move {
                    let service = Service { server, decide: &*decide, seen: &seen, settled: &settled };
                    // What a connection dies of is the client's to notice.
                    let _ = service.serve(client).await;
                });
            }
        });
        Self { port, seen, settled, task }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many requests it has seen.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    /// Waits until every request that it has seen has been executed, if it ever will be.
    pub async fn settled(&self) {
        while self.settled.load(Ordering::SeqCst) < self.seen() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Service<'a> {
    server: u16,
    decide: &'a Decide,
    seen: &'a AtomicUsize,
    settled: &'a AtomicUsize,
}

impl Service<'_> {
    /// Serves one request; the next one comes by a connection of its own.
    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some(mut request) = receive(&mut client).await? else { return Ok(()) };
        request.number = self.seen.fetch_add(1, Ordering::SeqCst);
        let fate = (self.decide)(&request);
        match &fate {
            Fate::Late(bell) => bell.notified().await,
            Fate::Without(names) => request.headers.retain(|line| {
                let name = line.split(':').next().unwrap_or_default();
                !names.iter().any(|gone| gone.eq_ignore_ascii_case(name))
            }),
            _ => {}
        }
        let answer = match fate {
            Fate::ResetBefore | Fate::HangBefore => Ok(Vec::new()),
            _ => self.ask(&request, &fate).await,
        };
        self.settled.fetch_add(1, Ordering::SeqCst);
        let answer = answer?;
        match fate {
            Fate::ResetBefore | Fate::ResetAfter | Fate::CutRequest(_) => client.set_zero_linger(),
            Fate::HangBefore | Fate::HangAfter => pending().await,
            Fate::CutAnswer(length) => {
                client.write_all(&answer[..length.min(answer.len())]).await?;
                client.flush().await?;
                client.set_zero_linger()
            }
            Fate::FlipAnswer(from_end) => {
                let mut answer = answer;
                if let Some(byte) = answer.len().checked_sub(from_end + 1).and_then(|at| answer.get_mut(at)) {
                    *byte ^= 1;
                }
                client.write_all(&answer).await?;
                client.shutdown().await
            }
            Fate::Slow(bytes) => {
                for piece in answer.chunks(bytes.max(1)) {
                    client.write_all(piece).await?;
                    client.flush().await?;
                    sleep(Duration::from_millis(100)).await;
                }
                client.shutdown().await
            }
            Fate::Replace(from, to) if answer.starts_with(format!("HTTP/1.1 {from}").as_bytes()) => {
                let answer = format!("HTTP/1.1 {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                client.write_all(answer.as_bytes()).await
            }
            _ => {
                client.write_all(&answer).await?;
                client.shutdown().await
            }
        }
    }

    /// The server's whole answer.
    async fn ask(&self, request: &Request, fate: &Fate) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(("127.0.0.1", self.server)).await?;
        server.write_all(head(request).as_bytes()).await?;
        let mut answer = Vec::new();
        if let Fate::CutRequest(length) = fate {
            server.write_all(&request.body[..request.body.len().saturating_sub(1).min(*length)]).await?;
            server.flush().await?;
            server.set_zero_linger()?;
            return Ok(answer);
        }
        server.write_all(&request.body).await?;
        server.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

/// A request, or nothing if the client closes the connection.
///
/// # Errors
/// Those of the connection.
pub async fn receive(client: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if client.read_buf(&mut received).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let body = received.split_off(end + 4);
    let mut request = Request { number: 0, method, path, headers: lines.map(str::to_owned).collect(), body };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while request.body.len() < length {
        if client.read_buf(&mut request.body).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(request))
}

/// The head as it is passed on: the server ends its answer by closing the connection, so that nobody has to count.
fn head(request: &Request) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for line in request.headers.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:")) {
        head += line;
        head += "\r\n";
    }
    head + "Connection: close\r\n\r\n"
}
