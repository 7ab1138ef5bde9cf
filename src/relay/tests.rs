//! The relay without sockets: sessions are served by the tests themselves.

mod away;
mod bounds;
mod memory;
mod model;
mod order;
mod rest;
mod resume;
mod storm;
mod world;
