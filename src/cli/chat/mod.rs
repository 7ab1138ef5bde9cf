//! `subrosa chat`: talk in a sealed room, in the terminal or in a pipe.
//!
//! ```text
//! create → connect → room → invite link on standard output ┐
//! join   → link → connect → room                           ┴→ talk: lines in → room → lines out
//! ```

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
mod wishes;

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
        let (keys, prompt) = prompt::Keys::take().unzip();
        let mut input = prompt.clone().map_or_else(input::Input::standard, input::Input::keys);
        let done = runtime.block_on(async {
            let (opened, (room, events)) = match self.way {
                Way::Create(create) => (true, enter::create(create).await?),
                Way::Join(join) => (false, enter::join(join, &mut input).await?),
            };
            talk::talk(room, events, input, terminal::Terminal::standard(prompt)?, opened).await
        });
        drop(keys);
        // Nothing of worth is left; a name look-up may still hang.
        runtime.shutdown_background();
        wipe::stack::<{ wipe::DEEP }>();
        done
    }
}
