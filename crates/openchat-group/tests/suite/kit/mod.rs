//! Devices, a log that they share, and what each of them makes of it.

pub(crate) mod device;
pub(crate) mod insider;
pub(crate) mod reference;
pub(crate) mod rng;
pub(crate) mod thief;
pub(crate) mod world;

pub(crate) use device::{Act, Device, Event};
pub(crate) use insider::{Liar, Lie};
pub(crate) use reference::{Reference, SecretsView};
pub(crate) use thief::Thief;
pub(crate) use world::World;
