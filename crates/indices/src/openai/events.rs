use memchr::memchr2;

/// Takes a stream of server-sent events apart, however it is cut into pieces.
///
/// Source: the section on server-sent events of the HTML standard. Takes time in proportion to what it is fed.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// The data of the event so far.
    data: Option<Vec<u8>>,
    /// Whether the last byte was a carriage return, so that a line feed ends no other line.
    after_cr: bool,
    /// Whether a line has ended, before which there may be a byte order mark.
    started: bool,
}

/// An event longer than this is no piece of an answer.
const LONGEST: usize = 16 << 20;

impl Events {
    /// The data of the events that end within these bytes, or `None` if one is too long.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr2(b'\n', b'\r', bytes);
            self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            if self.line.len() + self.data.as_ref().map_or(0, Vec::len) > LONGEST {
                return None;
            }
            let Some(end) = end else { break };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            events.extend(self.end_line());
        }
        Some(events)
    }

    /// What is left when the stream ends. The standard drops it; some servers leave the last empty line out.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        let event = self.end_line();
        event.or_else(|| self.data.take())
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let line = if self.started { &line[..] } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) };
        self.started = true;
        if line.is_empty() {
            return self.data.take();
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        if field == b"data" {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &mut self.data {
                None => self.data = Some(value.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in one piece, byte by byte, and in two pieces cut anywhere.
    fn check(stream: &[u8], expected: &[&str]) {
        let expected: Vec<Vec<u8>> = expected.iter().map(|data| data.as_bytes().to_vec()).collect();
        let read = |pieces: &[&[u8]]| {
            let mut events = Events::default();
            let mut read: Vec<Vec<u8>> = pieces.iter().flat_map(|piece| events.push(piece).unwrap()).collect();
            read.extend(events.finish());
            read
        };
        assert_eq!(read(&[stream]), expected, "{:?}", String::from_utf8_lossy(stream));
        assert_eq!(read(&stream.chunks(1).collect::<Vec<_>>()), expected);
        for at in 0..=stream.len() {
            assert_eq!(read(&[&stream[..at], &stream[at..]]), expected, "cut at {at}");
        }
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        check(b"", &[]);
        check(b"data: a\n\ndata: b\n\n", &["a", "b"]);
        check(b"data: a\r\n\r\ndata:b\r\rdata:  c\n\n", &["a", "b", " c"]);
        check(b"\xef\xbb\xbfdata: a\n\n", &["a"]);
        check(b": keep alive\n\nevent: x\nid: 1\nretry: 3\ndata: a\n\n\n\n", &["a"]);
        check(b"data: a\ndata\ndata: b\n\n", &["a\n\nb"]);
        check("data: é\u{1f999}\n\ndatas: x\n\n".as_bytes(), &["é\u{1f999}"]);
        check(b"data: a\n\ndata: b\n", &["a", "b"]);
        check(b"data: a\n\ndata: b", &["a", "b"]);
    }

    #[test]
    fn endless_events_are_given_up() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1 << 20];
        let pushed = (0..100).take_while(|_| events.push(&piece).is_some()).count();
        assert_eq!(pushed, 16);
    }
}
