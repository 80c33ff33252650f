use std::io::{self, Write};

use bytes::{Bytes, BytesMut};
use opendal::options::WriteOptions;
use opendal::{Buffer, Capability, ErrorKind, Writer};
use persist::{Content, Digest, Error, Meter, Result, Stored};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::call::Call;
use super::{CHUNK, CONCURRENT_SENT, ObjectFs};
use crate::blocking::unblock;

/// How many parts may be waiting to be sent.
const PIECES: usize = 1;

/// A part of a file, or its end. Without an end the file is not to be written.
type Piece = Option<Bytes>;

impl ObjectFs {
    /// Writes a file whole, digesting it on the way. What fits in one part is one request.
    pub(super) async fn upload(&self, path: &str, content: Content, meter: &Meter) -> Result<Stored> {
        let call = self.begin("write", path)?;
        let (sender, pieces) = channel(PIECES);
        let produced = unblock(move || produce(content, sender));
        let (produced, sent) = futures_util::future::join(produced, send(&call, path, pieces, meter)).await;
        // An upload that fails makes producing fail too, and is the cause; producing that fails ends it quietly.
        sent.map_err(|e| call.failed(e))?;
        let produced = produced.and_then(|done| done);
        let (size, digest) = produced.map_err(|e| Error::failed(&*self.location, "write", path, e))?;
        Ok(Stored { size, digest })
    }
}

/// Produces a content in pieces of equal size. Blocks while the upload is behind.
fn produce(content: Content, pieces: Sender<Piece>) -> io::Result<(u64, Digest)> {
    let mut out = Pieces { pieces, current: BytesMut::new() };
    let done = match content {
        Content::Bytes(bytes) => {
            (0..bytes.len())
                .step_by(CHUNK)
                .try_for_each(|at| out.send(Some(bytes.slice(at..bytes.len().min(at + CHUNK)))))?;
            (bytes.len() as u64, Digest::of(&bytes))
        }
        written => written.write_to(&mut out)?,
    };
    out.finish()?;
    Ok(done)
}

struct Pieces {
    pieces: Sender<Piece>,
    current: BytesMut,
}

impl Pieces {
    fn send(&self, piece: Piece) -> io::Result<()> {
        self.pieces.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn finish(mut self) -> io::Result<()> {
        let last = std::mem::take(&mut self.current);
        if !last.is_empty() {
            self.send(Some(last.freeze()))?;
        }
        self.send(None)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.current.len());
        self.current.extend_from_slice(&bytes[..taken]);
        if self.current.len() == CHUNK {
            let piece = std::mem::replace(&mut self.current, BytesMut::with_capacity(CHUNK));
            self.send(Some(piece.freeze()))?;
        }
        Ok(taken)
    }

    /// Only whole pieces are sent: an upload of unequal parts is refused by some services.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn send(call: &Call<'_>, path: &str, mut pieces: Receiver<Piece>, meter: &Meter) -> opendal::Result<()> {
    let capability = call.operator.info().capability();
    if !capability.write_can_multi {
        let mut whole = Vec::new();
        while let Some(piece) = pieces.recv().await {
            let Some(piece) = piece else {
                let whole = Buffer::from(whole);
                let size = whole.len() as u64;
                return call.run(call.operator.write(path, whole)).await.map(|_| meter.add(size));
            };
            whole.push(piece);
        }
        return Ok(());
    }
    let options =
        WriteOptions { chunk: Some(part(capability)), concurrent: CONCURRENT_SENT, ..WriteOptions::default() };
    let mut writer = call.operator.writer_options(path, options).await?;
    let written = fill(call, path, &mut writer, pieces, meter).await;
    if !matches!(written, Ok(true)) {
        // What cannot be aborted is litter, not damage.
        let _ = call.run(writer.abort()).await;
    }
    written.map(|_| ())
}

/// Writes the pieces. Returns true if the end came.
async fn fill(
    call: &Call<'_>,
    path: &str,
    writer: &mut Writer,
    mut pieces: Receiver<Piece>,
    meter: &Meter,
) -> opendal::Result<bool> {
    let mut size = 0;
    while let Some(piece) = pieces.recv().await {
        // Time that producing takes is no silence of the service.
        call.watch.progress();
        match piece {
            Some(piece) => {
                let length = piece.len() as u64;
                size += length;
                call.run(writer.write(piece)).await?;
                meter.add(length);
            }
            None => return close(call, path, writer, size).await.map(|()| true),
        }
    }
    Ok(false)
}

/// Ends an upload. If the answer was lost, a repeated request finds that there is no such upload any more: then the file
/// is there.
async fn close(call: &Call<'_>, path: &str, writer: &mut Writer, size: u64) -> opendal::Result<()> {
    let Err(e) = call.run(writer.close()).await else { return Ok(()) };
    let completes = call.watch.last().is_none_or(|last| last.request.starts_with("Complete"));
    let is_gone = completes && (e.kind() == ErrorKind::NotFound || e.message().contains("NoSuchUpload"));
    let is_there =
        is_gone && call.run(call.operator.stat(path)).await.is_ok_and(|metadata| metadata.content_length() == size);
    if is_there { Ok(()) } else { Err(e) }
}

/// The size of the parts of an upload: ours, if the service takes it.
fn part(capability: Capability) -> usize {
    let part = CHUNK.max(capability.write_multi_min_size.unwrap_or(0));
    part.min(capability.write_multi_max_size.unwrap_or(part))
}
