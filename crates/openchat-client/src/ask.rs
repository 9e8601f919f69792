//! One question, one answer, on a stream of frames.

use openchat_wire::frame::{FrameDecoder, FrameError, to_frame};
use serde::{Serialize, de::DeserializeOwned};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// How long an answer may take: issuing a certificate is milliseconds of work.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes taken from the stream at once.
const READ_BYTES: usize = 4096;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("{0}")]
    Stream(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("no answer within {} s", ANSWER_TIMEOUT.as_secs())]
    Late,
}

/// Sends `question` and waits for the answer, a frame of at most `max` bytes.
pub(crate) async fn ask<A: Serialize + DeserializeOwned>(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    question: &impl Serialize,
    max: usize,
) -> Result<A, AskError> {
    let answer = async {
        stream.write_all(&to_frame(question)).await?;
        stream.flush().await?;
        read_answer(stream, max).await
    };
    timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Err(AskError::Late))
}

async fn read_answer<A: Serialize + DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
) -> Result<A, AskError> {
    let mut decoder = FrameDecoder::new(max);
    let mut buffer = [0; READ_BYTES];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        decoder.push(buffer.get(..length).unwrap_or_default());
        if let Some(answer) = decoder.next_frame()? {
            return Ok(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(answer: Vec<u8>) -> Result<u32, AskError> {
        let (mut near, mut far) = tokio::io::duplex(64);
        let server = tokio::spawn(async move {
            let mut question = [0; 6];
            far.read_exact(&mut question).await.unwrap();
            far.write_all(&answer).await.unwrap();
        });
        let answer = ask(&mut near, &7_u32, 8).await;
        server.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn one_question_one_answer() {
        assert_eq!(asked(to_frame(&9_u32)).await.unwrap(), 9);
    }

    #[tokio::test]
    async fn a_cut_or_oversized_answer_is_an_error() {
        assert!(matches!(asked(vec![0, 0, 0, 2, 1]).await, Err(AskError::Stream(_))));
        assert!(matches!(asked(vec![0, 0, 0, 9, 1]).await, Err(AskError::Frame(_))));
    }
}
