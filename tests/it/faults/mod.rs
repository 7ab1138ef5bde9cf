//! Nothing is lost and nothing is silent, whatever happens to connections and servers.
//!
//! Whole runs take minutes: they are made where `SUBROSA_SOAK` is set; otherwise shortened ones.

mod chain;
mod cuts;
mod freeze;
mod handover;
mod line;
mod member;
mod model;
mod proxy;
mod random;
mod service;
mod steps;
mod world;

/// `whole` in a soak test, else `short`.
fn amount(short: usize, whole: usize) -> usize {
    if std::env::var_os("SUBROSA_SOAK").is_some() { whole } else { short }
}
