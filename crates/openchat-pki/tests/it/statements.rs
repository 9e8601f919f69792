//! Statements of the server's keys and receipts, signed, changed and passed off as others.

use crate::support::{ca, ca_key, key};
use openchat_pki::{
    Head, HeadError, MerkleLog, ServerKeys, SignedError, UnverifiedHead, sign_receipt,
    verify_receipt,
};
use openchat_wire::{
    Blob, Digest, Epoch, GroupId, Seq, UnixMillis, encode,
    relay::{Receipt, SignedReceipt},
};

fn keys() -> ServerKeys {
    ServerKeys::new(*key(10).public(), *key(11).public())
}

fn receipt() -> Receipt {
    Receipt {
        group: GroupId([1; 32]),
        seq: Seq(300),
        log_hash: Digest([2; 32]),
        epoch: Epoch(4),
        interim: Digest([3; 32]),
    }
}

fn head() -> Head {
    MerkleLog::from_iter([b"entry"]).head(keys().log_id, UnixMillis(1))
}

#[test]
fn the_servers_keys_are_believed_from_the_ca_alone() {
    let statement = keys().sign(&ca_key());
    assert_eq!(ServerKeys::verify(&statement, &ca()), Ok(keys()));
    let by_other = keys().sign(&key(7));
    assert_eq!(ServerKeys::verify(&by_other, &ca()), Err(SignedError::Signer));
}

#[test]
fn logs_of_different_keys_have_different_names() {
    assert_ne!(keys().log_id, ServerKeys::new(*key(11).public(), *key(11).public()).log_id);
    assert_eq!(keys().log_id, ServerKeys::new(*key(10).public(), *key(12).public()).log_id);
}

#[test]
fn a_statement_has_its_documented_layout() {
    let statement = keys().sign(&ca_key());
    let body = [
        ca_key().fingerprint().as_bytes().as_slice(),
        keys().log_id.as_bytes(),
        key(10).public().as_bytes(),
        key(11).public().as_bytes(),
    ]
    .concat();
    let length = [0xc2, 0x01];
    assert_eq!(statement[..2], length);
    assert_eq!(statement[2..2 + body.len()], body);
    assert_eq!(statement.len(), 2 + body.len() + 64);
}

#[test]
fn every_changed_byte_of_a_statement_is_refused() {
    let statement = keys().sign(&ca_key());
    for at in 0..statement.len() {
        let mut changed = statement.clone();
        changed[at] ^= 1;
        assert!(ServerKeys::verify(&changed, &ca()).is_err(), "byte {at}");
    }
    for end in 0..statement.len() {
        assert!(ServerKeys::verify(&statement[..end], &ca()).is_err(), "{end}");
    }
    let longer = [statement.as_slice(), &[0]].concat();
    assert!(matches!(ServerKeys::verify(&longer, &ca()), Err(SignedError::Decode(_))));
    assert!(matches!(ServerKeys::verify(&[0; 2000], &ca()), Err(SignedError::Decode(_))));
}

#[test]
fn a_receipt_is_believed_from_the_relay_alone() {
    let signed = sign_receipt(&receipt(), &key(11));
    assert_eq!(verify_receipt(&signed, key(11).public()), Ok(receipt()));
    assert_eq!(verify_receipt(&signed, key(7).public()), Err(SignedError::Signer));
    let expected = [key(11).fingerprint().as_bytes().as_slice(), &encode(&receipt())].concat();
    assert_eq!(signed.body.as_ref(), expected);
}

#[test]
fn every_changed_byte_of_a_receipt_is_refused() {
    let SignedReceipt { body, signature } = sign_receipt(&receipt(), &key(11));
    let verify = |body: &Blob, signature: &Blob| {
        let signed = SignedReceipt { body: body.clone(), signature: signature.clone() };
        verify_receipt(&signed, key(11).public())
    };
    for at in 0..body.0.len() {
        let mut changed = body.clone();
        changed.0[at] ^= 1;
        assert!(verify(&changed, &signature).is_err(), "body, byte {at}");
    }
    for at in 0..signature.0.len() {
        let mut changed = signature.clone();
        changed.0[at] ^= 1;
        assert!(verify(&body, &changed).is_err(), "signature, byte {at}");
    }
    for length in [0, 63, 65, 2000] {
        assert!(verify(&body, &Blob(vec![1; length])).is_err(), "signature of {length}");
        assert!(verify(&Blob(vec![1; length]), &signature).is_err(), "body of {length}");
    }
}

/// One key signs all three here; the labels keep them apart, and so does the shape.
#[test]
fn no_statement_passes_for_another_kind() {
    let key = ca_key();
    let as_receipt = |bytes: &[u8]| {
        // Length of the body in two bytes or one, then body and signature.
        let header = if bytes[0] & 0x80 == 0 { 1 } else { 2 };
        let (body, signature) = bytes[header..].split_at(bytes.len() - header - 64);
        SignedReceipt { body: Blob(body.to_vec()), signature: Blob(signature.to_vec()) }
    };
    let keys_bytes = keys().sign(&key);
    let head_bytes = head().sign(&key);
    let receipt_bytes = {
        let SignedReceipt { body, signature } = sign_receipt(&receipt(), &key);
        [encode(&body), signature.0].concat()
    };
    for bytes in [&head_bytes, &receipt_bytes] {
        assert!(ServerKeys::verify(bytes, &ca()).is_err());
    }
    for bytes in [&keys_bytes, &receipt_bytes] {
        let head = UnverifiedHead::decode(bytes).unwrap();
        let verdict = head.verify(key.public(), &keys().log_id);
        assert!(matches!(verdict, Err(HeadError::Signed(_))));
    }
    for bytes in [&keys_bytes, &head_bytes] {
        assert!(verify_receipt(&as_receipt(bytes), key.public()).is_err());
    }
    assert_eq!(verify_receipt(&as_receipt(&receipt_bytes), key.public()), Ok(receipt()));
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes: Vec<u8>) {
        proptest::prop_assert!(ServerKeys::verify(&bytes, &ca()).is_err());
        let signed = SignedReceipt { body: Blob(bytes.clone()), signature: Blob(bytes) };
        proptest::prop_assert!(verify_receipt(&signed, ca().public_key()).is_err());
    }
}
