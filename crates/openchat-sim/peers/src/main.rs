//! Other projects' group protocols, measured as ours is: `openchat-peers NAME` plays the scenes that
//! standard input asks for. `scripts/bench group` runs it.

mod megolm;
mod mls_rs_awslc;
mod openmls_rustcrypto;
#[path = "../../src/bin/bench-group/scenes.rs"]
mod scenes;

use scenes::{Outcome, Stage, serve};

fn main() -> Outcome<()> {
    match std::env::args().nth(1).as_deref() {
        Some("mls-rs") => {
            let mut stage = Stage::<mls_rs_awslc::MlsRs>::new();
            serve(|scene, n| stage.play(scene, n))
        }
        Some("openmls") => {
            let mut stage = Stage::<openmls_rustcrypto::OpenMls>::new();
            serve(|scene, n| stage.play(scene, n))
        }
        Some("megolm") => {
            let mut sender = megolm::Sender::new();
            serve(|scene, _| sender.play(scene))
        }
        _ => Err("usage: openchat-peers mls-rs|openmls|megolm".into()),
    }
}
