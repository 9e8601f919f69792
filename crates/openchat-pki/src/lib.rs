//! Certificate profiles, certification requests, verification and the transparency log.
