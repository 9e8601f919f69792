//! What the transparency log costs a device, behind `scripts/bench ca`: to follow one more entry, to
//! prove and check an inclusion, and to start with a long log.

use crate::{certificates::Row, load::rng};
use openchat_client::{Survive, Vault, outside::now};
use openchat_crypto::{CryptoRng, IdentityKey};
use openchat_engine::{Device, Engine, Input, Snapshot};
use openchat_pki::{
    CaCertificate, CertificateAuthority, Entry, MemberCertificate, MerkleLog, Mirror, Origin,
    Profiles, Serial, ServerKeys, UnverifiedCsr, certification_request,
};
use openchat_wire::{
    Blob, Fingerprint, Name,
    limits::MAX_RECORDED,
    relay::{Answer, Request, ToClient},
};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Lengths of the log.
const SIZES: [usize; 3] = [10, 1_000, 100_000];

/// Times that each thing is done.
const ROUNDS: usize = 51;

/// A log, all of it in memory.
struct Log {
    keys: ServerKeys,
    key: IdentityKey,
    tree: MerkleLog,
    entries: Vec<Blob>,
}

impl Log {
    /// People who were certified, one after the other; the first is this device.
    fn of(size: usize, own: &Entry, serial: Serial, rng: &mut impl CryptoRng) -> Self {
        let key = IdentityKey::generate(rng);
        let relay = IdentityKey::generate(rng);
        let keys = ServerKeys::new(*key.public(), *relay.public());
        let mut log = Self { keys, key, tree: MerkleLog::new(), entries: Vec::new() };
        log.push(own.encode());
        for number in 1..size {
            log.push(somebody(number, serial, rng));
        }
        log
    }

    fn push(&mut self, entry: Vec<u8>) {
        self.tree.push(&entry);
        self.entries.push(Blob(entry));
    }

    fn head(&self) -> Vec<u8> {
        self.tree.head(self.keys.log_id, now()).sign(&self.key)
    }
}

fn somebody(number: usize, serial: Serial, rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut fingerprint = Fingerprint([0; 32]);
    rng.fill_bytes(&mut fingerprint.0);
    let name: Name = format!("person-{number}").parse().expect("a name");
    Entry::Issue { name, fingerprint, serial, not_after: now() }.encode()
}

/// Measures.
pub(crate) fn bench() -> Vec<Row> {
    let mut rows = Vec::new();
    for size in SIZES {
        let (device, own) = device();
        let mut log = Log::of(size, &own, own_serial(&device), &mut rng());
        rows.extend(starting(&device, &log, size));
        rows.extend(following(&mut log, size));
    }
    rows
}

/// One more entry and its head, and proofs of old ones.
fn following(log: &mut Log, size: usize) -> Vec<Row> {
    let mut mirror = Mirror::new(&log.keys);
    let begin = Instant::now();
    let _whole = mirror.extend(&log.entries, &log.head()).expect("an honest log");
    let whole = begin.elapsed();
    let serial = match Entry::decode(&log.entries[0].0) {
        Ok(Entry::Issue { serial, .. }) => serial,
        other => panic!("{other:?}"),
    };
    let entry = somebody(size, serial, &mut rng());
    log.push(entry.clone());
    let head = log.head();
    let bytes = entry.len() + head.len();
    let (mut extend, mut prove, mut verify, mut root) = (vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        let mut copy = mirror.clone();
        extend.push(timed(|| copy.extend(&[&entry], &head).expect("one more").taken));
        let (index, length) = (round * 7_919 % size, u64::try_from(size).expect("a number"));
        let place = u64::try_from(index).expect("a number");
        let read = |at: u64| log.entries.get(usize::try_from(at).ok()?).map(|it| it.0.clone());
        prove.push(timed(|| mirror.prove(place, length, read)));
        let proof = mirror.prove(place, length, read).expect("it is there");
        let whole = mirror.root_at(length, read).expect("its own root");
        verify.push(timed(|| assert!(proof.verify(&log.entries[index].0, length, &whole))));
        root.push(timed(|| mirror.root_at(length / 2, read)));
    }
    vec![
        Row::us("follow one more entry and head, p50", size, &mut extend),
        Row::bytes("one more entry and head", size, bytes),
        Row::us("mirror the whole log at once", size, &mut [whole]),
        Row::us("prove an inclusion, p50", size, &mut prove),
        Row::us("check an inclusion, p50", size, &mut verify),
        Row::us("the root at half the size, p50", size, &mut root),
    ]
}

/// A device that has mirrored the log is started again: its vault, and the engine.
fn starting(device: &Device, log: &Log, size: usize) -> Vec<Row> {
    let place = tempfile::tempdir().expect("a directory");
    let mut rng = rng();
    let again = || Device {
        name: device.name.clone(),
        key: IdentityKey::from_pkcs8(&device.key.to_pkcs8()).expect("its key"),
        certificate: device.certificate.clone(),
        server_keys: log.keys,
        ca: device.ca.clone(),
        origin: device.origin.clone(),
    };
    let mut vault = Vault::open(place.path()).expect("a vault");
    let mut engine = Engine::new(again(), Snapshot::default()).expect("an engine");
    engine.handle(Input::Connected, now(), &mut rng);
    while engine.log_size() < u64::try_from(size).expect("a number") {
        let output = engine.take_output();
        vault.apply(&output.changes, Survive::Kill).expect("stored");
        let asked = output.requests.iter().find_map(|it| match it.request {
            Request::ReadTransparency(index) => Some((it.id, index)),
            _ => None,
        });
        let (id, index) = asked.expect("it asks for more");
        let from = usize::try_from(index).expect("a number");
        let entries: Vec<Blob> = log.entries[from..].iter().take(MAX_RECORDED).cloned().collect();
        let complete = entries.len() < MAX_RECORDED;
        let answer = Ok(Answer::Recorded { entries, head: Blob(log.head()), complete });
        let frame = Input::Frame(ToClient::Answer { id, answer });
        engine.handle(frame, now(), &mut rng);
    }
    vault.apply(&engine.take_output().changes, Survive::Kill).expect("stored");
    drop((vault, engine));
    let bytes = std::fs::metadata(place.path().join("vault.db")).map_or(0, |it| it.len());
    let mut times = Vec::new();
    for _ in 0..11 {
        times.push(timed(|| {
            let vault = Vault::open(place.path()).expect("the vault");
            let records = vault.records().expect("its records");
            let engine = Engine::new(again(), Snapshot { records }).expect("the engine");
            assert_eq!(engine.log_size(), u64::try_from(size).expect("a number"));
        }));
    }
    vec![
        Row::us("start: vault and engine, p50", size, &mut times),
        Row::bytes("vault", size, usize::try_from(bytes).expect("a number")),
    ]
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    black_box(work());
    begin.elapsed()
}

/// A device, and the log's entry for its certificate.
fn device() -> (Device, Entry) {
    let (mut rng, now) = (rng(), now());
    let profiles = Profiles::builtin().expect("the profiles");
    let (ca_key, key) = (IdentityKey::generate(&mut rng), IdentityKey::generate(&mut rng));
    let stated = ServerKeys::new(*key.public(), *key.public()).sign(&ca_key);
    let ca = CertificateAuthority::create("bench", ca_key, &profiles, now, &mut rng).expect("a CA");
    let name: Name = "me".parse().expect("a name");
    let csr = certification_request(&key, &name).expect("a request");
    let csr = UnverifiedCsr::decode(&csr).expect("a request").verify_for(&name).expect("its key's");
    let certificate = ca.issue_client(&csr, &name, now, &mut rng).expect("a certificate");
    let read = MemberCertificate::claimed(&certificate).expect("a certificate");
    let pinned = CaCertificate::pinned(ca.certificate(), &ca.pin()).expect("the CA");
    let origin = Origin::new(&pinned, &stated);
    let server_keys = ServerKeys::new(*key.public(), *key.public());
    (Device { name, key, certificate, server_keys, ca: pinned, origin }, Entry::issue(&read))
}

fn own_serial(device: &Device) -> Serial {
    MemberCertificate::claimed(&device.certificate).expect("its certificate").serial()
}
