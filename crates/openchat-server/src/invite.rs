//! `openchat-server invite new`: asks the running server, over its admin socket.

use crate::{
    cli::InviteNewArgs,
    data_dir::DataDir,
    failure::{Exit, Failure},
    output::Output,
};
use openchat_wire::{
    Name,
    admin::{AdminAnswer, AdminRequest, SOCKET},
    frame::{FrameDecoder, FrameError, to_frame},
    limits::MAX_ADMIN_FRAME,
};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use serde_json::json;
use std::{
    fmt,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
    time::Duration,
};

/// The server answers at once, or something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Prints a new invitation for the name.
///
/// # Errors
/// Above all if no server runs over this data directory.
pub(crate) fn run(
    data: &DataDir,
    args: &InviteNewArgs,
    quiet: bool,
    output: Output,
) -> Result<ExitCode, Failure> {
    let invitation = match ask(data, &AdminRequest::Invite(args.name.clone()))? {
        AdminAnswer::Invitation { invitation, .. } => invitation,
        AdminAnswer::Failed(why) => {
            let message = format!("the server made no invitation: {why}");
            return Err(Failure::new(Exit::Failure, "refused", message, "look at its trace"));
        }
    };
    let text =
        if args.qr { format!("{invitation}\n{}", drawn(&invitation)?) } else { invitation.clone() };
    let object = json!({
        "v": 1, "type": "invitation", "name": args.name.as_str(), "invitation": invitation
    });
    output.data(&text, &object)?;
    if !quiet {
        output.note(&advice(&args.name));
    }
    Ok(ExitCode::SUCCESS)
}

/// On stderr, so that a script has the invitation alone.
fn advice(name: &Name) -> String {
    format!(
        "One use, 24 hours. On {name}'s device:  openchat enroll --name {name} --invite 'INVITATION'"
    )
}

fn drawn(invitation: &str) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(invitation, EcLevel::L)
        .map_err(|error| Failure::system("can't draw a QR code", &error, "leave out --qr"))?;
    // A glyph is bright on most terminals, so it stands for a light module.
    let mut drawing = code.render::<Dense1x2>();
    Ok(drawing.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

fn ask(data: &DataDir, request: &AdminRequest) -> Result<AdminAnswer, Failure> {
    let path = data.join(SOCKET);
    let unreachable = |error: &dyn fmt::Display| {
        let message = format!("no server answers at {}: {error}", path.display());
        Failure::new(Exit::Unreachable, "unreachable", message, data.command("run"))
    };
    let stream = UnixStream::connect(&path).map_err(|e| unreachable(&e))?;
    converse(stream, request).map_err(|e| unreachable(&e))
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

    #[test]
    fn an_invitation_fits_a_qr_code_that_fits_a_terminal() {
        let longest = format!("openchat://{}:65535/#v1.{}", "a".repeat(100), "b".repeat(89));
        let drawn = drawn(&longest).unwrap();
        assert!(drawn.lines().all(|line| line.chars().count() <= 79));
    }
}
