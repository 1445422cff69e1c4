//! Long MP4 files, written while their recording goes on.

use std::path::Path;

use super::Worker;
use crate::disk::writers::Handed;
use crate::live::decide::segmenter::File;
use crate::live::derive::Made;
use crate::live::derive::long_mp4::Ahead;
use crate::live::recorder::effect::Grown;

impl Worker {
    /// Takes a spool segment into its file. What fails here is no loss: the file is then made from the spool at its end.
    pub(super) async fn go_ahead(&mut self, folder: &Path, grown: Grown, handed: &Handed) {
        let Grown { file, to } = grown;
        let taken = self.take_ahead(folder, file.lane, file.number);
        if !handed.written().await {
            return;
        }
        let begun = match taken {
            Some(ahead) => Ok(ahead),
            // One that began earlier was given up, or stems from before a restart.
            None if file.from.segment + 1 < to.segment => return,
            None => Ahead::begin(folder.to_owned(), file).await,
        };
        let extended = match begun {
            Ok(ahead) => ahead.extend(to).await,
            Err(error) => Err(error),
        };
        match extended {
            Ok(ahead) => self.ahead.push(ahead),
            Err(error) => {
                tracing::debug!(stream.key = %self.key, %error, "no head start for a long file");
            }
        }
    }

    /// The file, if it was begun and nothing went wrong.
    pub(super) async fn finish_ahead(&mut self, folder: &Path, file: &File) -> Option<Made> {
        let ahead = self.take_ahead(folder, file.lane, file.number)?;
        match ahead.finish(file.clone()).await {
            Ok(made) => made,
            Err(error) => {
                tracing::warn!(stream.key = %self.key, %error, "the head start of a long file is lost");
                None
            }
        }
    }

    fn take_ahead(&mut self, folder: &Path, lane: usize, number: u64) -> Option<Ahead> {
        let of = |ahead: &Ahead| ahead.is(folder, lane, number);
        let place = self.ahead.iter().position(of)?;
        Some(self.ahead.swap_remove(place))
    }
}
