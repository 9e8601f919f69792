//! A home for one test: the real binary, its places, and a profile that was enrolled at a CA which
//! no server serves.

use openchat_client::{
    Identity, Vault,
    outside::{now, os_random},
};
use openchat_crypto::IdentityKey;
use openchat_pki::{
    CertificateAuthority, Profiles, ServerKeys, UnverifiedCsr, certification_request,
};
use openchat_wire::invitation::Invitation;
use std::{
    io::Write,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// Where everything of a test is.
pub(crate) struct Home {
    place: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        // With a space, as in some people's home directories.
        Self { place: tempfile::Builder::new().prefix("open chat ").tempdir().unwrap() }
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.place.path().join("home")
    }

    /// The binary, with nothing of the caller's environment that could matter.
    pub(crate) fn openchat(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openchat"));
        command.env_clear().env("OPENCHAT_HOME", self.directory()).args(args);
        command.env("OPENCHAT_SERVER_HOME", self.place.path().join("server"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.openchat(args).output().unwrap().into()
    }

    /// Runs it to its end with this on stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Ended {
        let mut child = self.start(args);
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Starts it, to be talked to.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.openchat(args).stdin(Stdio::piped()).spawn().unwrap()
    }

    /// Makes the default profile bob's, enrolled at `server`.
    pub(crate) fn enroll_bob(&self, ca: &CertificateAuthority, server: &str) {
        let mut rng = os_random();
        let (key, name) = (IdentityKey::generate(&mut rng), "bob".parse().unwrap());
        let request = certification_request(&key, &name).unwrap();
        let request = UnverifiedCsr::decode(&request).unwrap().verify_for(&name).unwrap();
        let keys = ServerKeys::new(*key.public(), *key.public());
        let identity = Identity {
            certificate: ca.issue_client(&request, &name, now(), &mut rng).unwrap(),
            ca: ca.certificate().to_vec(),
            ca_pin: ca.pin(),
            server: server.to_owned(),
            server_keys: ca.sign_server_keys(&keys),
            key: key.to_pkcs8(),
            name,
        };
        let directory = self.directory().join("profiles/default");
        Vault::open(&directory).unwrap().enroll(&identity).unwrap();
    }
}

/// What a finished process left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// The last line of stdout as an error object: its code, message and hint.
    pub(crate) fn json_error(&self) -> (String, String, String) {
        let last = self.stdout.lines().last().unwrap();
        let object: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!((object["v"].as_u64(), object["type"].as_str()), (Some(1), Some("error")));
        let field = |name: &str| object[name].as_str().unwrap().to_owned();
        (field("code"), field("message"), field("hint"))
    }
}

pub(crate) fn ca() -> CertificateAuthority {
    let mut rng = os_random();
    let key = IdentityKey::generate(&mut rng);
    let profiles = Profiles::builtin().unwrap();
    CertificateAuthority::create("Acme", key, &profiles, now(), &mut rng).unwrap()
}

/// An address on this machine where nothing listens.
pub(crate) fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// An invitation to a server where nothing listens.
pub(crate) fn invitation(ca: &CertificateAuthority) -> String {
    Invitation { address: nowhere(), ca_pin: ca.pin(), id: [1; 16], secret: [2; 16] }.to_string()
}
