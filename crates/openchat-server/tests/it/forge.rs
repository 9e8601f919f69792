//! Certificates and requests that no authority of ours would make.

use crate::tls::Device;
use getrandom::{SysRng, rand_core::UnwrapErr};
use openchat_crypto::{IdentityKey, PublicKey};
use openchat_pki::Name as _;
