//! What a crate may not reach is as much its purpose as what it does. These tests read the resolved
//! dependency graph and hold the layers of `docs/ARCHITECTURE.md`; each rule is also shown to see
//! an edge that breaks it. Only normal dependencies count: those of tests are never shipped.

#![allow(clippy::expect_used, reason = "a test that can't read the graph has failed")]

use openchat_sim::{PURE_CRATES, workspace};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Every crate of ours from the bottom layer up, with those it may name. Each names only crates
/// above it in this list, so there is no cycle.
const LAYERS: &[(&str, &[&str])] = &[
    ("openchat-wire", &[]),
    ("openchat-crypto", &["openchat-wire"]),
    ("openchat-pki", &["openchat-wire", "openchat-crypto"]),
    ("openchat-roster", &["openchat-wire", "openchat-crypto", "openchat-pki"]),
    ("openchat-group", &["openchat-wire", "openchat-crypto", "openchat-roster"]),
    ("openchat-relay", &["openchat-wire", "openchat-crypto", "openchat-pki", "openchat-roster"]),
    ("openchat-store-sqlite", &["openchat-wire", RELAY]),
    ("openchat-server", &["openchat-wire", "openchat-crypto", "openchat-pki", RELAY, STORE]),
    (
        "openchat-engine",
        &["openchat-wire", "openchat-crypto", "openchat-pki", "openchat-roster", "openchat-group"],
    ),
    (
        "openchat-fuzz",
        &[
            "openchat-wire",
            "openchat-crypto",
            "openchat-pki",
            "openchat-roster",
            "openchat-group",
            RELAY,
            "openchat-engine",
        ],
    ),
    ("openchat-client", &["openchat-wire", "openchat-crypto", "openchat-pki", "openchat-engine"]),
    ("openchat-tui", &["openchat-client"]),
    ("openchat-cli", &["openchat-wire", "openchat-client", "openchat-tui"]),
    (
        SIM,
        &[
            "openchat-wire",
            "openchat-crypto",
            "openchat-pki",
            "openchat-roster",
            "openchat-group",
            RELAY,
            STORE,
            "openchat-engine",
            "openchat-client",
        ],
    ),
];

const RELAY: &str = "openchat-relay";
const STORE: &str = "openchat-store-sqlite";
const SIM: &str = "openchat-sim";

/// `from` must reach none of `packages`, at first or at any other hand.
struct Unreachable {
    from: &'static [&'static str],
    packages: &'static [&'static str],
}

const UNREACHABLE: &[Unreachable] = &[
    // The server holds no code that could open a message.
    Unreachable {
        from: &["openchat-relay", "openchat-store-sqlite", "openchat-server"],
        packages: &["openchat-group", "openchat-engine", "openchat-client"],
    },
    Unreachable {
        from: PURE_CRATES,
        packages: &[
            "tokio",
            "mio",
            "socket2",
            "rusqlite",
            "libsqlite3-sys",
            "rustls",
            "tokio-rustls",
            "tracing-subscriber",
        ],
    },
    // Nothing of the system's own to match: what is in C is compiled in, but for libcrypto, with which
    // SQLCipher seals the client's vault (docs/adr/0020-vault-at-rest.md).
    Unreachable {
        from: &["openchat-server", "openchat-cli"],
        packages: &["openssl", "native-tls"],
    },
];

/// `packages` may be named in the manifests of `by` only.
struct Reserved {
    packages: &'static [&'static str],
    by: &'static [&'static str],
}

const RESERVED: &[Reserved] = &[
    Reserved {
        packages: &[
            "p256",
            "hkdf",
            "hmac",
            "fernet",
            "ecdsa",
            "elliptic-curve",
            "aes",
            "cbc",
            "argon2",
        ],
        by: &["openchat-crypto"],
    },
    Reserved { packages: &["aws-lc-rs", "aws-lc-sys"], by: &["openchat-crypto"] },
    // ct-merkle's trees are generic over a digest, and whoever makes one has to name its type.
    Reserved { packages: &["sha2"], by: &["openchat-crypto", "openchat-pki"] },
    Reserved { packages: &["rcgen", "x509-parser", "ct-merkle"], by: &["openchat-pki"] },
    Reserved { packages: &["postcard"], by: &["openchat-wire"] },
    Reserved {
        packages: &["rustls", "tokio-rustls", "tokio", "getrandom"],
        by: &["openchat-server", "openchat-client", "openchat-cli", SIM],
    },
    Reserved { packages: &["anyhow", "clap"], by: &["openchat-server", "openchat-cli"] },
    Reserved {
        packages: &["ratatui", "crossterm", "ratatui-textarea", "jiff"],
        by: &["openchat-tui"],
    },
    Reserved {
        packages: &["rusqlite"],
        by: &["openchat-store-sqlite", "openchat-server", "openchat-client", SIM],
    },
];

/// Packages by name with those they need; two versions of a package count as one.
#[derive(Clone, Default)]
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn of_this_workspace() -> Self {
        // Not `--offline`: the graph lists packages that a build never downloads.
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", "host-tuple"])
            .current_dir(workspace())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::read(&serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON"))
    }

    fn read(metadata: &Value) -> Self {
        let names: BTreeMap<&str, &str> =
            list(metadata, "packages").map(|p| (text(p, "id"), text(p, "name"))).collect();
        let mut graph = Self::default();
        for node in list(&metadata["resolve"], "nodes") {
            let needs = graph.0.entry(names[text(node, "id")].to_owned()).or_default();
            let normal = list(node, "deps").filter(|dep| is_normal(dep));
            needs.extend(normal.map(|dep| names[text(dep, "pkg")].to_owned()));
        }
        graph
    }

    /// Exactly the edges that [`LAYERS`] allows.
    fn allowed() -> Self {
        LAYERS.iter().fold(Self::default(), |graph, (name, needs)| {
            needs.iter().fold(graph.with(name, &[]), |graph, need| graph.with(name, &[need]))
        })
    }

    /// A twin with one more chain of edges, from `name` along `path`.
    fn with(&self, name: &str, path: &[&str]) -> Self {
        let mut twin = self.clone();
        let mut from = name;
        twin.0.entry(from.to_owned()).or_default();
        for to in path {
            twin.0.entry(from.to_owned()).or_default().insert((*to).to_owned());
            from = to;
        }
        twin
    }

    fn needs(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    fn ours(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| name.starts_with("openchat-"))
    }

    fn reached_from<'a>(&'a self, name: &'a str) -> BTreeSet<&'a str> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![name]);
        while let Some(name) = open.pop() {
            open.extend(self.needs(name).filter(|need| seen.insert(*need)));
        }
        seen
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.layer_faults();
        faults.extend(self.reach_faults());
        faults.extend(self.reserved_faults());
        faults
    }

    fn layer_faults(&self) -> Vec<String> {
        let allowed = Self::allowed();
        let edges = self.ours().flat_map(|name| {
            self.needs(name).filter(|need| need.starts_with("openchat-")).map(move |n| (name, n))
        });
        let forbidden = edges.filter(|(name, need)| !allowed.needs(name).any(|n| n == *need));
        let unknown = self.ours().filter(|name| !allowed.0.contains_key(*name));
        forbidden
            .map(|(name, need)| format!("{name} may not name {need}"))
            .chain(unknown.map(|name| format!("{name} has no place in LAYERS")))
            .collect()
    }

    fn reach_faults(&self) -> Vec<String> {
        let faults = UNREACHABLE.iter().flat_map(|rule| {
            rule.from.iter().flat_map(|name| {
                let reached = self.reached_from(name);
                rule.packages
                    .iter()
                    .filter(move |package| reached.contains(*package))
                    .map(move |package| format!("{name} must not reach {package}"))
            })
        });
        faults.collect()
    }

    fn reserved_faults(&self) -> Vec<String> {
        let faults = RESERVED.iter().flat_map(|rule| {
            self.ours().filter(|name| !rule.by.contains(name)).flat_map(|name| {
                self.needs(name)
                    .filter(|need| rule.packages.contains(need))
                    .map(move |need| format!("{name} may not name {need}"))
            })
        });
        faults.collect()
    }
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().expect("a list").iter()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().expect("a text")
}

fn is_normal(dep: &Value) -> bool {
    list(dep, "dep_kinds").any(|kind| kind["kind"].is_null())
}

#[test]
fn the_workspace_keeps_its_layers() {
    assert_eq!(Graph::of_this_workspace().faults(), Vec::<String>::new());
}

#[test]
fn each_layer_names_only_those_below_it() {
    for (at, (name, needs)) in LAYERS.iter().enumerate() {
        let below: Vec<_> = LAYERS[..at].iter().map(|(name, _)| name).collect();
        assert!(needs.iter().all(|need| below.contains(&need)), "{name}");
    }
    assert_eq!(Graph::allowed().faults(), Vec::<String>::new());
}

#[test]
fn every_edge_that_is_not_allowed_is_seen() {
    let graph = Graph::allowed();
    for (name, allowed) in LAYERS {
        for (need, _) in LAYERS.iter().filter(|(need, _)| !allowed.contains(need)) {
            let fault = format!("{name} may not name {need}");
            assert!(graph.with(name, &[need]).faults().contains(&fault), "{fault}");
        }
    }
}

#[test]
fn a_crate_without_a_place_is_seen() {
    let twin = Graph::allowed().with("openchat-utils", &[]);
    assert_eq!(twin.faults(), ["openchat-utils has no place in LAYERS"]);
}

#[test]
fn what_must_not_be_reached_is_seen_at_first_and_at_second_hand() {
    let graph = Graph::allowed();
    for rule in UNREACHABLE {
        for (name, package) in pairs(rule.from, rule.packages) {
            let fault = format!("{name} must not reach {package}");
            for path in [vec![package], vec!["innocent", package]] {
                assert!(graph.with(name, &path).faults().contains(&fault), "{fault}");
            }
        }
    }
}

#[test]
fn a_reserved_package_in_another_manifest_is_seen() {
    let graph = Graph::allowed();
    for rule in RESERVED {
        for ((name, _), package) in pairs(LAYERS, rule.packages) {
            let faults = graph.with(name, &[package]).reserved_faults();
            assert_eq!(faults.is_empty(), rule.by.contains(&name), "{name} names {package}");
        }
    }
}

#[test]
fn only_normal_dependencies_are_read() {
    let metadata = serde_json::json!({
        "packages": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "c"}],
        "resolve": {"nodes": [
            {"id": "1", "deps": [
                {"pkg": "2", "dep_kinds": [{"kind": "dev"}, {"kind": null}]},
                {"pkg": "3", "dep_kinds": [{"kind": "dev"}, {"kind": "build"}]},
            ]},
            {"id": "2", "deps": []},
        ]},
    });
    assert_eq!(Graph::read(&metadata).needs("a").collect::<Vec<_>>(), ["b"]);
}

fn pairs<A: Copy, B: Copy>(left: &[A], right: &[B]) -> Vec<(A, B)> {
    left.iter().flat_map(|a| right.iter().map(|b| (*a, *b))).collect()
}
