//! Other people's tools: OpenSSL and curl.

use crate::support::{ended, invite, said};
use openchat_sim::{Person, Server};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A place where somebody works with OpenSSL.
struct Bench {
    place: PathBuf,
}

impl Bench {
    fn new(server: &Server) -> Self {
        let place = server.place().join("bench");
        fs::create_dir_all(&place).unwrap();
        Self { place }
    }

    fn at(&self, file: &str) -> PathBuf {
        self.place.join(file)
    }

    fn try_openssl(&self, line: &str) -> Output {
        let mut command = Command::new("openssl");
        command.current_dir(&self.place).args(line.split(' ')).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// What OpenSSL says; it must succeed.
    fn openssl(&self, line: &str) -> String {
        let output = self.try_openssl(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A key and a request for it.
    fn request(&self, name: &str, how: &str) {
        self.openssl(&format!(
            "req -new -newkey {how} -subj /CN={name} -keyout {name}.key -noenc -out {name}.csr"
        ));
    }

    /// Enrolls the request with an invitation; the certificates are then in files.
    fn enroll(&self, server: &Server, name: &str) -> (Option<i32>, serde_json::Value) {
        let invitation = invite(server, name);
        let nobody = Person::new("nobody", server);
        let mut command = nobody.command();
        command.args(["enroll", "--name", name, "--invite", &invitation, "--json"]);
        command.arg("--csr").arg(self.at(&format!("{name}.csr")));
        command.arg("--out").arg(self.at(&format!("{name}.crt")));
        ended(command.arg("--ca-out").arg(self.at(&format!("{name}.ca"))))
    }
}

const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256 -sha256";

fn running() -> (Server, Bench) {
    let server = Server::start();
    let bench = Bench::new(&server);
    (server, bench)
}

#[test]
fn a_request_of_openssl_enrolls_with_proof_of_the_invitation() {
    let (server, bench) = running();
    bench.request("bot", P256);
    let (code, made) = bench.enroll(&server, "bot");
    assert_eq!((code, &made["type"]), (Some(0), &"certified".into()), "{made}");
    let verified = bench
        .openssl("verify -x509_strict -check_ss_sig -purpose sslclient -CAfile bot.ca bot.crt");
    assert_eq!(verified, "bot.crt: OK\n");
    let purposes = bench.openssl("x509 -in bot.crt -noout -purpose");
    assert!(purposes.contains("SSL client : Yes\n"), "{purposes}");
    assert!(purposes.contains("SSL server : No\n"), "{purposes}");
    let named = bench.openssl("x509 -in bot.crt -noout -ext subjectAltName");
    assert!(named.contains("DNS:bot"), "{named}");
    assert!(bench.openssl("x509 -in bot.ca -noout -purpose").contains("SSL client CA : Yes\n"));
    fs::copy(server.data().join("server.crt"), bench.at("server.crt")).unwrap();
    let verify =
        "verify -x509_strict -purpose sslserver -verify_ip 127.0.0.1 -CAfile bot.ca server.crt";
    assert_eq!(bench.openssl(verify), "server.crt: OK\n");
    // In DER too, and again with the same key.
    bench.openssl("req -in bot.csr -outform DER -out bot.der");
    for file in ["bot.crt", "bot.ca"] {
        fs::remove_file(bench.at(file)).unwrap();
    }
    fs::rename(bench.at("bot.der"), bench.at("bot.csr")).unwrap();
    assert_eq!(bench.enroll(&server, "bot").0, Some(0));
    // Nothing is overwritten, and no invitation is used up for it.
    let (code, error) = bench.enroll(&server, "bot");
    assert_eq!((code, &error["code"]), (Some(1), &"file".into()));
}

#[test]
fn q2_requests_of_other_kinds_are_refused() {
    let (server, bench) = running();
    for (name, how) in [
        ("rsa", "rsa:2048"),
        ("curve", "ec -pkeyopt ec_paramgen_curve:P-384 -sha256"),
        ("digest", "ec -pkeyopt ec_paramgen_curve:P-256 -sha384"),
        ("power", "ec -pkeyopt ec_paramgen_curve:P-256 -addext basicConstraints=CA:TRUE"),
        ("extra", "ec -pkeyopt ec_paramgen_curve:P-256 -addext subjectAltName=DNS:other"),
    ] {
        bench.request(name, how);
        let (code, error) = bench.enroll(&server, name);
        assert_eq!((code, &error["code"]), (Some(1), &"request".into()), "{name}: {error}");
        assert!(!bench.at(&format!("{name}.crt")).exists(), "{name}");
    }
    bench.request("mallory", P256);
    fs::rename(bench.at("mallory.csr"), bench.at("alice.csr")).unwrap();
    let (code, _) = bench.enroll(&server, "alice");
    assert_eq!(code, Some(1), "a request on another name");
}

/// A handshake as a member, with what `s_client` says of it.
fn handshake(bench: &Bench, server: &Server, ca: &str, alpn: &str) -> String {
    let address = server.address();
    let line = format!(
        "s_client -connect {address} -tls1_3 -alpn {alpn} -cert bot.crt -key bot.key -CAfile {ca} \
         -verify_return_error -verify_ip 127.0.0.1"
    );
    let output = bench.try_openssl(&line);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Waits until the console has said this so often.
fn tells(server: &Server, what: &str, count: usize) {
    let deadline = std::time::Instant::now() + openchat_sim::PATIENCE;
    while server.console().matches(what).count() < count {
        assert!(std::time::Instant::now() < deadline, "{}", server.console());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn connected(server: &Server, count: usize) {
    // Its goodbye says the same words.
    tells(server, "connected  bot  ", 2 * count);
}

#[test]
fn s_client_and_curl_reach_the_tls_layer() {
    let (server, bench) = running();
    bench.request("bot", P256);
    assert_eq!(bench.enroll(&server, "bot").0, Some(0));
    let said = handshake(&bench, &server, "bot.ca", "openchat/1");
    for line in ["Verification: OK", "ALPN protocol: openchat/1", "TLSv1.3"] {
        assert!(said.contains(line), "{said}");
    }
    // The server takes the certificate: it counts a member who came and went.
    connected(&server, 1);
    assert!(!said.contains("New Session Ticket"), "{said}");
    let curl = Command::new("curl")
        .current_dir(&bench.place)
        .args(["--silent", "--show-error", "--cacert", "bot.ca", "--cert", "bot.crt"])
        .args(["--key", "bot.key", &format!("https://{}/", server.address())])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&curl.stderr).into_owned();
    assert_eq!(curl.status.code(), Some(35), "{stderr}");
    assert!(stderr.contains("no application protocol"), "{stderr}");
}

#[test]
fn t11_openssl_follows_both_ways_over_a_change_of_the_key() {
    let (mut server, bench) = running();
    bench.request("bot", P256);
    bench.request("late", P256);
    assert_eq!(bench.enroll(&server, "bot").0, Some(0));
    server.stop();
    said(&server, &["ca", "rotate"]);
    server.run();
    assert_eq!(bench.enroll(&server, "late").0, Some(0));
    // OpenSSL prefers the certificate that ends last, which is the new CA's own; so that is left out.
    let shown = server.data().join("ca.crt");
    fs::write(bench.at("crossed"), one(&shown, 1) + &one(&shown, 2)).unwrap();
    let verify = |ca: &str, leaf: &str| {
        bench.try_openssl(&format!(
            "verify -x509_strict -purpose sslclient -CAfile {ca} -untrusted crossed {leaf}"
        ))
    };
    for (ca, leaf) in [("bot.ca", "late.crt"), ("late.ca", "bot.crt"), ("late.ca", "late.crt")] {
        let output = verify(ca, leaf);
        assert!(output.status.success(), "{ca} {leaf}: {output:?}");
    }
    // The old certificate counts on.
    let said_ = handshake(&bench, &server, "late.ca", "openchat/1");
    assert!(said_.contains("Verification: OK"), "{said_}");
    connected(&server, 1);
    // After a theft nothing leads from the old CA.
    server.stop();
    said(&server, &["ca", "rotate", "--emergency"]);
    server.run();
    let said = handshake(&bench, &server, "late.ca", "openchat/1");
    assert!(said.contains("verify error"), "{said}");
}

#[test]
fn t8_what_a_stolen_key_certified_gives_no_access() {
    let (mut server, bench) = running();
    bench.request("bot", P256);
    assert_eq!(bench.enroll(&server, "bot").0, Some(0));
    server.stop();
    said(&server, &["ca", "rotate", "--emergency"]);
    server.run();
    fs::copy(server.data().join("ca.crt"), bench.at("new.ca")).unwrap();
    let said_ = handshake(&bench, &server, "new.ca", "openchat/1");
    assert!(said_.contains("Verification: OK"), "{said_}");
    tells(&server, "not issued by this CA", 1);
    assert!(!server.console().contains("connected  bot"), "{}", server.console());
    // The same key proves itself at the enrollment, and its name and key are as they were.
    fs::remove_file(bench.at("bot.crt")).unwrap();
    fs::remove_file(bench.at("bot.ca")).unwrap();
    let key = said(&server, &["user", "show", "bot"])["fingerprint"].clone();
    let (code, made) = bench.enroll(&server, "bot");
    assert_eq!((code, &made["fingerprint"]), (Some(0), &key), "{made}");
    let _ = handshake(&bench, &server, "new.ca", "openchat/1");
    connected(&server, 1);
}

/// The certificate in a file of two that is at this place.
fn one(file: &Path, at: usize) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split_inclusive("-----END CERTIFICATE-----\n").nth(at).unwrap().to_owned()
}

#[test]
fn t12_openssl_applies_what_the_root_has_limited() {
    let root_place = tempfile::tempdir().unwrap();
    let mut server = Server::bare(&[]);
    let request = said(&server, &["init-ca", "--below-root"])["pem"].as_str().unwrap().to_owned();
    let root = root_place.path().join("root").to_str().unwrap().to_owned();
    said(&server, &["ca", "root", "create", &root]);
    let asked = root_place.path().join("request").to_str().unwrap().to_owned();
    fs::write(&asked, request).unwrap();
    let certified = said(
        &server,
        &[
            "ca",
            "root",
            "certify",
            &root,
            &asked,
            "--host",
            "127.0.0.1",
            "--exclude",
            "bank.example",
        ],
    );
    let chain = root_place.path().join("chain");
    fs::write(&chain, certified["pem"].as_str().unwrap()).unwrap();
    said(&server, &["ca", "install", chain.to_str().unwrap()]);
    server.run();
    let bench = Bench::new(&server);
    bench.request("bot", P256);
    assert_eq!(bench.enroll(&server, "bot").0, Some(0));
    fs::write(bench.at("own"), one(&chain, 0)).unwrap();
    fs::write(bench.at("root"), one(&chain, 1)).unwrap();
    fs::copy(server.data().join("server.crt"), bench.at("server.crt")).unwrap();
    for (purpose, leaf) in [("sslclient", "bot.crt"), ("sslserver", "server.crt")] {
        bench.openssl(&format!(
            "verify -x509_strict -purpose {purpose} -CAfile root -untrusted own {leaf}"
        ));
    }
    let own = bench.openssl("x509 -in own -noout -text");
    for line in ["pathlen:0", "Name Constraints: critical", "IP:127.0.0.1/255.255.255.255"] {
        assert!(own.contains(line), "{own}");
    }
    let said = handshake(&bench, &server, "root", "openchat/1");
    assert!(said.contains("Verification: OK"), "{said}");
    connected(&server, 1);
}
