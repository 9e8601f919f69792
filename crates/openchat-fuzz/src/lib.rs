//! What must hold for any bytes that a peer, or a damaged disk, may bring.
//!
//! A body takes bytes and panics where a promise is broken. [`TARGETS`] lists them all: the test
//! `bounded` feeds each a small, fixed number of inputs in every run of the tests, and `fuzz/`
//! beside this crate feeds them without end by `cargo fuzz`.
//!
//! Bodies of decoders hold that what decodes has this one encoding, and that what is read from it
//! can be used without a panic; [`insider`] is a conversation with one member who lies.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a body says that a promise is broken by a panic"
)]

pub mod bodies;
pub mod client;
pub mod insider;
pub mod letters;
pub mod pki;
pub mod records;
pub mod samples;
pub mod streams;
pub mod texts;
pub mod vault;

mod device;
mod forge;
mod input;
mod rng;
mod town;
mod world;

pub use rng::Random;

/// A body: takes any bytes, and returns.
pub type Body = fn(&[u8]);

/// All bodies by their names.
pub const TARGETS: &[(&str, Body)] = &[
    ("frames_to_server", streams::to_server),
    ("frames_to_client", streams::to_client),
    ("frames_enroll_request", streams::enroll_request),
    ("frames_enroll_answer", streams::enroll_answer),
    ("frames_admin_request", streams::admin_request),
    ("frames_admin_answer", streams::admin_answer),
    ("log_entry", records::log_entry),
    ("inbox_entry", records::inbox_entry),
    ("commit", records::commit),
    ("prekey", records::prekey),
    ("leave", records::leave),
    ("notice", records::notice),
    ("heartbeat", records::heartbeat),
    ("body", bodies::body),
    ("chunk", bodies::chunk),
    ("file_name", bodies::file_name),
    ("invitation_letter", letters::invitation),
    ("welcome_letter", letters::welcome),
    ("token", letters::token),
    ("server_invitation", texts::server_invitation),
    ("names", texts::names),
    ("request", pki::request),
    ("certificate", pki::certificate),
    ("transparency", pki::transparency),
    ("statements", pki::statements),
    ("group_records", vault::group_records),
    ("insider", insider::insider),
    ("client", client::client),
];

/// Runs the body of this name; does nothing if there is none.
pub fn run(name: &str, data: &[u8]) {
    if let Some((_, body)) = TARGETS.iter().find(|(target, _)| *target == name) {
        body(data);
    }
}
