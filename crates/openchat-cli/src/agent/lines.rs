//! Lines of bounded length.

use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The next line without its end, or nothing at the end. A last line without an end was cut off, and
/// counts for nothing.
///
/// # Errors
/// The stream's, or if the line has more than `most` bytes.
pub(super) async fn next(
    stream: &mut (impl AsyncBufRead + Unpin),
    most: usize,
) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        let bytes = stream.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if line.len() + piece.len() > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
        }
        line.extend_from_slice(piece);
        let used = piece.len() + usize::from(end.is_some());
        stream.consume(used);
        if end.is_some() {
            let line = String::from_utf8(line);
            return line.map(Some).map_err(|_| io::ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_and_bounded() {
        let mut stream = tokio::io::BufReader::with_capacity(3, &b"one\n\nlonger line\ncut"[..]);
        let mut lines = Vec::new();
        while let Some(line) = next(&mut stream, 11).await.unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["one", "", "longer line"]);
        let mut stream = tokio::io::BufReader::with_capacity(3, &b"longer line\n"[..]);
        assert_eq!(next(&mut stream, 10).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut stream = &b"\xff\n"[..];
        assert!(next(&mut stream, 10).await.is_err());
    }
}
