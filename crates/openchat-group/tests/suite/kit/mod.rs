//! Devices, a log that they share, and what each of them makes of it.

pub(crate) mod device;
pub(crate) mod insider;
pub(crate) mod plain;
pub(crate) mod post;
pub(crate) mod rng;
pub(crate) mod sealer;
pub(crate) mod thief;
pub(crate) mod views;
pub(crate) mod world;

pub(crate) use device::{Act, Device, Event};
pub(crate) use insider::{Liar, Lie};
pub(crate) use thief::Thief;
pub(crate) use views::SecretsView;
pub(crate) use world::World;
