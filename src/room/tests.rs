//! The room and the window against simple models of them: any sequence of commands, the same outcome.

pub(super) mod room;
mod window;
mod window_bounds;
