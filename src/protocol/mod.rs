//! What goes over the wire, as types.
pub mod public_key;
