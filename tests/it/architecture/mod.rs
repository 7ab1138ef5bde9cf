//! The shape of the house: which module may use which, and no circles.

mod circles;
mod floors;
mod script;
mod source;
mod tokens;
