//! `subrosa chat`: talk in a sealed room, in the terminal or in a pipe.
//!
//! ```text
//! create → connect → room → invite link on standard output ┐
//! join   → link → connect → room                           ┴→ talk: lines in → room → lines out
//! ```

mod commands;
mod duration;
mod editor;
mod enter;
mod harmless;
mod input;
mod line;
mod names;
mod options;
mod paste;
mod prompt;
mod talk;
mod terminal;
mod typed;

use super::output::Failure;
pub(super) use options::Chat;
use options::Way;
use subrosa::secret::{hardening, wipe};

impl Chat {
    pub(super) fn run(self) -> Result<(), Failure> {
        hardening::conceal();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_park(wipe::stack::<{ wipe::DEEP }>)
            .enable_all()
            .build()?;
        // Before the terminal is taken over: a signal must not end the program without giving it back.
        let mut signals = runtime.block_on(async { talk::Signals::new() })?;
        let (keys, prompt) = prompt::Keys::take().unzip();
        let mut input = prompt.clone().map_or_else(input::Input::standard, input::Input::keys);
        let done = runtime.block_on(async {
            let entering = async {
                match self.way {
                    Way::Create(create) => enter::create(create).await.map(|entered| (true, entered)),
                    Way::Join(join) => enter::join(join, &mut input).await.map(|entered| (false, entered)),
                }
            };
            let (opened, (room, events)) = tokio::select! {
                entered = entering => entered?,
                () = signals.next() => return Err("stopped before you were in the room".into()),
            };
            talk::talk(room, events, input, terminal::Terminal::standard(prompt)?, signals, opened).await
        });
        drop(keys);
        // Nothing of worth is left; a name look-up may still hang.
        runtime.shutdown_background();
        wipe::stack::<{ wipe::DEEP }>();
        done
    }
}
