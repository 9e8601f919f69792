//! The operator's commands beside `run` and `init-ca`. Most ask the running server.

pub(crate) mod ask;
pub(crate) mod authority;
pub(crate) mod backup;
pub(crate) mod cert;
pub(crate) mod confirm;
pub(crate) mod directory;
pub(crate) mod invite;
pub(crate) mod log;
pub(crate) mod manual;
pub(crate) mod restore;
pub(crate) mod settle;
pub(crate) mod status;
pub(crate) mod text;
pub(crate) mod user;
