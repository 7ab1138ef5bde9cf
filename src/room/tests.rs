//! The room and the window against simple models of them: any sequence of commands, the same outcome.

mod room;
mod window;
