//! What everything is made of.

use openchat_crypto::{IdentityKey, Label, PublicKey, Secret, Signature, fernet::MessageKey};
use serde_json::{Value, json};

use crate::{
    file::{array, frozen, hex, read, settle, unhex},
    plain::{
        make::Source,
        member::identity,
        message::{Content, padded},
        prim,
    },
};

const FILE: &str = "primitives.json";

/// What each label is used for: `docs/protocol.md` §2.2.
const HASHES: usize = 19;
const SIGNATURES: [&str; 11] = [
    "commit",
    "message",
    "notice",
    "heartbeat",
    "receipt",
    "tlog head",
    "server keys",
    "prekey",
    "leave",
    "welcome letter",
    "group invitation letter",
];

fn made(frozen: &Value) -> Value {
    let mut source = Source::new(b"primitives");
    let mut key = identity(&mut source);
    let (secret, body) = (source.secret(), b"a body".to_vec());
    json!({
        "about": "docs/protocol.md section 2; see README.md",
        "extract": list(4, |index| extract(&mut source, index)),
        "expand": Label::ALL.iter().map(|label| expand(&secret, label.as_str())).collect::<Vec<_>>(),
        "hash": Label::ALL.iter().map(|label| hash(label.as_str())).collect::<Vec<_>>(),
        "derive_key_pair": list(8, |_| derive(&mut source)),
        "ecdh": list(4, |_| ecdh(&mut source)),
        "sign": SIGNATURES.iter().map(|label| sign(&mut key, label, &body)).collect::<Vec<_>>(),
        "fernet": list(4, |index| fernet(&mut source, index, frozen)),
        "padding": list(40, padding),
    })
}

fn list(count: usize, mut make: impl FnMut(usize) -> Value) -> Vec<Value> {
    (0..count).map(&mut make).collect()
}

fn extract(source: &mut Source, index: usize) -> Value {
    let salt = if index == 0 { Vec::new() } else { source.bytes().to_vec() };
    let ikm = source.bytes();
    let made = prim::extract(&salt, &ikm);
    json!({ "salt": hex(salt), "ikm": hex(ikm), "secret": hex(made.expose()) })
}

fn expand(secret: &Secret, label: &str) -> Value {
    let context = b"context";
    let made = prim::expand(secret, label, &[context]);
    json!({
        "secret": hex(secret.expose()), "label": label, "context": hex(context),
        "expanded": hex(made.expose()),
    })
}

fn hash(label: &str) -> Value {
    json!({ "label": label, "input": hex(b"input"), "hash": hex(prim::hash(label, &[b"input"])) })
}

fn derive(source: &mut Source) -> Value {
    let ikm = source.secret();
    let pair = prim::derive_pair(&ikm);
    let scalar = openchat_wire::encode(&pair);
    json!({
        "ikm": hex(ikm.expose()), "private": hex(scalar), "public": hex(pair.public().as_bytes()),
        "fingerprint": hex(prim::fpr(pair.public())),
    })
}

fn ecdh(source: &mut Source) -> Value {
    let (one, other) = (source.pair(), source.pair());
    let shared = prim::ecdh(&one, other.public());
    assert_eq!(shared, prim::ecdh(&other, one.public()));
    json!({
        "private": hex(openchat_wire::encode(&one)), "public": hex(other.public().as_bytes()),
        "shared": hex(shared.expose()),
    })
}

fn sign(key: &mut IdentityKey, label: &str, rest: &[u8]) -> Value {
    let body = [&prim::fpr(key.public())[..], rest].concat();
    let signature = prim::sign(key, label, &body);
    json!({
        "private": hex(&key.to_pkcs8()[36..68]), "public": hex(key.public().as_bytes()),
        "label": label, "body": hex(&body), "signature": hex(signature.as_bytes()),
    })
}

/// The token is frozen: its IV is random.
fn fernet(source: &mut Source, index: usize, frozen: &Value) -> Value {
    let (key, plain) = (source.secret(), vec![7; index * 9]);
    let frozen = &frozen["fernet"][index]["token"];
    let token = match frozen {
        Value::Null => MessageKey::new(key.clone()).seal(&plain),
        _ => unhex(frozen),
    };
    assert_eq!(MessageKey::new(key.clone()).open(&token).unwrap(), plain);
    json!({ "key": hex(key.expose()), "plain": hex(plain), "token": hex(token) })
}

fn padding(index: usize) -> Value {
    let body = vec![b'x'; index * index * 3];
    let content = Content { time: 1_700_000_000_000, kind: 1, body: body.clone() };
    let length = padded(&content).len();
    json!({ "body_length": body.len(), "time": content.time, "kind": 1, "padded_length": length })
}

#[test]
fn the_second_implementation_makes_them_again() {
    settle(FILE, &made(&frozen(FILE)));
}

#[test]
fn the_first_implementation_agrees() {
    let file = read(FILE);
    let label = |it: &Value| {
        Label::ALL.iter().copied().find(|label| label.as_str() == it["label"]).unwrap()
    };
    for it in file["extract"].as_array().unwrap() {
        let made = Secret::extract(&unhex(&it["salt"]), &unhex(&it["ikm"]));
        assert_eq!(*made.expose(), array(&it["secret"]));
    }
    for it in file["expand"].as_array().unwrap() {
        let secret = Secret::from_bytes(array(&it["secret"]));
        let made = secret.expand(label(it), &unhex(&it["context"]));
        assert_eq!(*made.expose(), array(&it["expanded"]));
    }
    for it in file["hash"].as_array().unwrap() {
        assert_eq!(openchat_crypto::hash(label(it), &[&unhex(&it["input"])]).0, array(&it["hash"]));
    }
    for it in file["derive_key_pair"].as_array().unwrap() {
        let pair = openchat_crypto::KeyPair::derive(&Secret::from_bytes(array(&it["ikm"])));
        assert_eq!(*pair.public().as_bytes(), array(&it["public"]));
        assert_eq!(pair.public().fingerprint().0, array(&it["fingerprint"]));
    }
    for it in file["sign"].as_array().unwrap() {
        let key = PublicKey::from_bytes(&unhex(&it["public"])).unwrap();
        let signature = Signature::from_bytes(&unhex(&it["signature"])).unwrap();
        assert_eq!(key.verify(label(it), &unhex(&it["body"]), &signature), Ok(()));
    }
    for it in file["ecdh"].as_array().unwrap() {
        let pair: openchat_crypto::KeyPair =
            openchat_wire::decode(&unhex(&it["private"]), 32).unwrap();
        let other = PublicKey::from_bytes(&unhex(&it["public"])).unwrap();
        assert_eq!(*pair.agree(&other).expose(), array(&it["shared"]));
    }
    for it in file["fernet"].as_array().unwrap() {
        let key = MessageKey::new(Secret::from_bytes(array(&it["key"])));
        assert_eq!(key.open(&unhex(&it["token"])), Ok(unhex(&it["plain"])));
    }
}

#[test]
fn every_label_has_a_vector() {
    let file = read(FILE);
    assert_eq!(file["hash"].as_array().unwrap().len(), Label::ALL.len());
    assert_eq!(file["expand"].as_array().unwrap().len(), Label::ALL.len());
    assert!(Label::ALL.len() >= HASHES + SIGNATURES.len());
}
