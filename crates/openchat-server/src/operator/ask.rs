//! Asks the running server, over its admin socket.

use crate::{
    data_dir::DataDir,
    failure::{Exit, Failure},
};
use openchat_wire::{
    admin::{AdminAnswer, AdminRequest, SOCKET},
    frame::{FrameDecoder, FrameError, to_frame},
    limits::MAX_ADMIN_FRAME,
};
use std::{
    fmt,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

/// The server answers at once, or something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server's answer, unless it is that it can't.
///
/// # Errors
/// Above all if no server runs over this data directory.
pub(crate) fn ask(data: &DataDir, request: &AdminRequest) -> Result<AdminAnswer, Failure> {
    let path = data.join(SOCKET);
    let unreachable = |error: &dyn fmt::Display| {
        let message = format!("no server answers at {}: {error}", path.display());
        Failure::new(Exit::Unreachable, "unreachable", message, data.command("run"))
    };
    let stream = UnixStream::connect(&path).map_err(|e| unreachable(&e))?;
    match converse(stream, request).map_err(|e| unreachable(&e))? {
        AdminAnswer::Failed(why) => {
            let message = format!("the server did not do it: {why}");
            Err(Failure::new(Exit::Failure, "refused", message, data.command("health")))
        }
        answer => Ok(answer),
    }
}

/// A server of another version answers otherwise than was asked.
pub(crate) fn unexpected(data: &DataDir) -> Failure {
    let message = "the server that runs is of another version than this program";
    Failure::new(Exit::Failure, "version", message, format!("restart it: {}", data.command("run")))
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Stream(#[from] io::Error),
    #[error("its answer makes no sense: {0}")]
    Frame(#[from] FrameError),
    #[error("it ended the conversation")]
    Ended,
}

fn converse(mut stream: UnixStream, request: &AdminRequest) -> Result<AdminAnswer, AskError> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&to_frame(request))?;
    let mut decoder = FrameDecoder::new(MAX_ADMIN_FRAME);
    let mut chunk = [0; 1024];
    loop {
        let read = stream.read(&mut chunk)?;
        let bytes = chunk.get(..read).filter(|bytes| !bytes.is_empty()).ok_or(AskError::Ended)?;
        decoder.push(bytes);
        if let Some(answer) = decoder.next_frame()? {
            return Ok(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(bytes: &[u8]) -> Result<AdminAnswer, AskError> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(bytes).unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        converse(ours, &AdminRequest::Invite("bob".parse().unwrap()))
    }

    #[test]
    fn a_server_that_makes_no_sense_is_told_apart() {
        assert!(matches!(answered(&[]), Err(AskError::Ended)));
        assert!(matches!(answered(&[0, 0, 0, 2, 9, 9]), Err(AskError::Frame(_))));
        let answer = AdminAnswer::Failed("no".to_owned());
        assert_eq!(answered(&to_frame(&answer)).unwrap(), answer);
    }
}
