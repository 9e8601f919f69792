//! Is the server there, and does it take this device's certificate? For `openchat status`.

use crate::{
    ask::ask,
    device::{self, DeviceError},
    dial::{DialError, Dialer, Dialled},
    vault::Identity,
};
use openchat_wire::{
    limits::MAX_FRAME,
    relay::{Request, ToClient, ToServer},
};
use std::time::Duration;
use tokio::{io::AsyncWriteExt, time::Instant};

/// Connects to the server as the messenger does and asks one question.
///
/// Gives the time that the question took.
///
/// # Errors
/// [`DeviceError`] if what the vault holds can't be used; what happened on the way inside.
pub async fn probe(identity: &Identity) -> Result<Result<Duration, DialError>, DeviceError> {
    Ok(ping(&device::dialer(identity)?).await)
}

async fn ping(dialer: &Dialer) -> Result<Duration, DialError> {
    let Dialled { mut stream, .. } = dialer.dial().await?;
    let start = Instant::now();
    let question = ToServer { id: 1, request: Request::Ping };
    let asked = ask(&mut stream, &question, MAX_FRAME).await;
    let took = start.elapsed();
    // The answer is known; a goodbye that does not arrive changes nothing.
    let _ = stream.shutdown().await;
    match asked {
        Ok(ToClient::Answer { id: 1, .. }) => Ok(took),
        Ok(ToClient::Goodbye(why)) => Err(why.into()),
        Ok(_) => Err(DialError::NotOpenchat),
        Err(error) => Err(dialer.ask_error(&error)),
    }
}
