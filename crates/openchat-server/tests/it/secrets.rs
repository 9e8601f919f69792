//! What must never be written anywhere: searched for in everything that a server says while it is
//! used, attacked and looked after, with all its diagnostics on.

use crate::{
    forge,
    server::{Place, Server},
    tls::Connection,
};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use openchat_group::{Author, Content, ContentKind, Group, Proposal};
use openchat_pki::UnverifiedHead;
use openchat_roster::{HeadRef, LogEntry, Policy};
use openchat_wire::{
    Blob, GroupId, MessageId, Name, UnixMillis,
    frame::to_frame,
    invitation::Invitation,
    relay::{Answer, Letter, Request, ToClient, ToServer},
};
use std::fs;
use tokio::io::AsyncWriteExt;

/// Something that only a peer says.
const MARK: &[u8] = b"tr0ub4dor-and-correct-horse";

/// All ways in which a program writes bytes: as text, in hex, in base64, as a list of numbers.
pub(crate) fn written(secret: &[u8]) -> Vec<String> {
    let hex = hex(secret);
    let list = |bytes: &[u8]| {
        let numbers: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        numbers.join(", ")
    };
    let mut forms = vec![
        hex.get(..12).unwrap_or(&hex).to_owned(),
        hex.to_uppercase().get(..12).unwrap_or(&hex).to_owned(),
        list(secret.get(..5).unwrap_or(secret)),
    ];
    // Base64 of a part in the middle of something depends on where it stands.
    for offset in 0..3_usize {
        let part = secret.get(offset..).unwrap_or_default();
        let whole = part.get(..part.len() / 3 * 3).unwrap_or_default();
        for text in [Base64::encode_string(whole), Base64UrlUnpadded::encode_string(whole)] {
            forms.push(text.get(..12).unwrap_or(&text).to_owned());
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.push(text.to_owned());
    }
    forms.retain(|form| form.len() >= 8);
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// Everything that was said or asked in secret.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn note(&mut self, what: &str, secret: &[u8]) {
        assert!(secret.len() >= 8);
        self.0.push((what.to_owned(), secret.to_vec()));
    }

    fn note_invitation(&mut self, invitation: &Invitation) {
        self.note("an invitation's secret", &invitation.secret);
    }

    /// Searches for all of them, in every form.
    fn search(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            for form in written(secret) {
                assert!(!text.contains(&form), "{what} is in {place} as {form:?}");
            }
        }
        assert!(!text.contains("#v1."), "an invitation is in {place}");
        assert!(!text.contains("PRIVATE KEY"), "a key is in {place}");
    }
}

#[tokio::test]
async fn nothing_secret_is_ever_traced_or_shown() {
    for format in ["text", "json"] {
        let place = Place::new();
        place.init();
        let server = Server::run(place, &["-vvv", "--log-format", format]);
        let mut secrets = Secrets::default();
        for file in ["ca.key", "server.key", "relay.key", "tlog.key"] {
            // The private number stands at a fixed place in PKCS #8 of P-256.
            let der = server.place.key(file).to_pkcs8();
            let number = der.get(36..68).unwrap();
            secrets.note(file, number);
        }
        secrets.note("a peer's words", MARK);
        members(&server, &mut secrets).await;
        strangers(&server, &mut secrets).await;
        operator(&server, &mut secrets);
        server.signal("TERM");
        server.line("stopped");
        let (trace, console) = (server.trace(), server.lines("", 1).join("\n"));
        assert!(trace.contains("refused"), "there is a trace: {trace}");
        secrets.search("the trace", &trace);
        secrets.search("the console", &console);
    }
}

/// People who enroll, found a group and talk; then one who sends nonsense.
async fn members(server: &Server, secrets: &mut Secrets) {
    let name: Name = "bob".parse().unwrap();
    let key = forge::key();
    let request = server.request("bob", &key);
    secrets.note("an invitation's secret", &request.secret);
    secrets.note("a member's request", request.csr.as_ref().get(60..90).unwrap());
    let certificate = server.ask_to_enroll(&request).await.unwrap().certificate.0;
    secrets.note("a member's key", key.to_pkcs8().get(36..68).unwrap());
    let device = crate::tls::Device { certificate: certificate.into(), key };
    let mut connection = server.connect(&device).await;
    let author =
        Author { key: &device.key, name: &name, head: head(server, &mut connection).await };
    let policy = Policy::open("general".parse().unwrap());
    let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
    let created = Group::create(&author, policy, None, Proposal::default(), &mut rng);
    let mut group = created.unwrap();
    let commit = group.pending().unwrap().entry.clone();
    secrets.note("a commit", commit.0.get(100..130).unwrap());
    let log = *group.roster().group();
    append(&mut connection, log, commit.clone()).await.unwrap();
    if let LogEntry::Commit(commit) = LogEntry::decode(&commit.0).unwrap() {
        group.commit(&commit, &());
    }
    let content =
        Content { time: UnixMillis(1), kind: ContentKind::TEXT, body: Blob(MARK.to_vec()) };
    let sealed = group.seal(&device.key, MessageId([1; 16]), &content).unwrap();
    let sealed = Blob(LogEntry::Message(sealed).to_bytes());
    secrets.note("a message", sealed.0.get(80..110).unwrap());
    append(&mut connection, log, sealed).await.unwrap();
    assert!(append(&mut connection, log, Blob(MARK.to_vec())).await.is_err());
    let letters = vec![Letter { to: device.key.fingerprint(), sealed: Blob(MARK.to_vec()) }];
    let request = Request::Append { log, entry: Blob(MARK.to_vec()), letters, follows: false };
    assert!(connection.ask(request).await.is_err());
    let prekeys = vec![Blob(MARK.to_vec())];
    assert!(connection.ask(Request::PublishPrekeys { replace: true, prekeys }).await.is_err());
    assert!(connection.ask(Request::Heartbeat { log, beat: Blob(MARK.to_vec()) }).await.is_err());
    let mut senseless = to_frame(&ToServer { id: 1, request: Request::Ping });
    senseless.extend([0, 0, 0, 27]);
    senseless.extend(MARK);
    connection.send(&senseless).await;
    while connection.receive::<ToClient>().await.is_some() {}
}

async fn head(server: &Server, connection: &mut Connection) -> HeadRef {
    let Ok(Answer::Head(bytes)) = connection.ask(Request::Head).await else { panic!("no head") };
    let keys = (server.place.key("tlog.key"), server.place.key("relay.key"));
    let keys = openchat_pki::ServerKeys::new(*keys.0.public(), *keys.1.public());
    let head = UnverifiedHead::decode(&bytes.0).unwrap();
    let head = head.verify(&keys.log_key, &keys.log_id).unwrap();
    HeadRef { size: head.size, root: head.root }
}

async fn append(
    connection: &mut Connection,
    log: GroupId,
    entry: Blob,
) -> Result<Answer, openchat_wire::relay::Refusal> {
    connection.ask(Request::Append { log, entry, letters: Vec::new(), follows: false }).await
}

/// Those who are turned away: with wrong secrets, with nonsense, without TLS.
async fn strangers(server: &Server, secrets: &mut Secrets) {
    let mut request = server.request("eve", &forge::key());
    secrets.note("an invitation's secret", &request.secret);
    request.secret = *b"a wrong secret!!";
    secrets.note("a wrong secret", &request.secret);
    assert!(server.ask_to_enroll(&request).await.is_err());
    let mut connection = server.connect_to_enroll().await;
    connection.send(&[&[0, 0, 0, 27], MARK].concat()).await;
    while connection.receive::<ToClient>().await.is_some() {}
    let mut tcp = server.tcp().await;
    tcp.write_all(MARK).await.unwrap();
    tcp.shutdown().await.unwrap();
    let stranger = forge::key();
    secrets.note("a stranger's key", stranger.to_pkcs8().get(36..68).unwrap());
    server.lines("refused", 3);
}

/// The operator's doing, mistakes among it.
fn operator(server: &Server, secrets: &mut Secrets) {
    let invited = server.place.output(&["invite", "new", "carol"]);
    let invitation = String::from_utf8(invited.stdout).unwrap();
    secrets.note_invitation(&invitation.parse().unwrap());
    let copy = server.place.data().with_extension("backup");
    for arguments in [
        &["invite", "list", "--all"][..],
        &["invite", "revoke", "--name", "carol"],
        &["user", "list"],
        &["cert", "show", "--server"],
        &["status"],
        &["health"],
        &["config", "show"],
        &["backup", copy.to_str().unwrap()],
        &["restore", copy.to_str().unwrap()],
    ] {
        let output = server.place.output(arguments);
        let said = [output.stdout, output.stderr].concat();
        secrets.search(&arguments.join(" "), &String::from_utf8(said).unwrap());
    }
    fs::write(server.place.data().join("config.toml"), "nonsense").unwrap();
    server.signal("HUP");
    server.line("reload_refused");
}

#[test]
fn the_search_finds_what_it_is_for() {
    for secret in [MARK, &[7, 200, 3, 9, 250, 66, 17, 5, 90, 91, 92, 93, 94, 95, 96, 97]] {
        let hex = hex(secret);
        let debug = format!("{secret:?}");
        let within = [b"ab", secret, b"xyz"].concat();
        for text in
            [hex, debug, Base64::encode_string(&within), Base64UrlUnpadded::encode_string(secret)]
        {
            assert!(written(secret).iter().any(|form| text.contains(form)), "{text}");
        }
    }
}
