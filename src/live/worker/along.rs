//! Files of one range, made in one reading of the spool: the second waits here until its turn.

use std::path::Path;

use super::{Trouble, Worker};
use crate::live::decide::segmenter::File;
use crate::live::derive::{self, Made};
use crate::live::spool::record::Opening;
use crate::model::rule::Format;

/// A file that was made along with the one before it.
pub(super) struct Along {
    lane: usize,
    number: u64,
    made: Made,
}

impl Along {
    fn is(&self, folder: &Path, file: &File) -> bool {
        (self.lane, self.number) == (file.lane, file.number) && self.made.path.starts_with(folder)
    }
}

impl Worker {
    /// Makes a file, and the one behind it along where `next` says that it has the same range. What fails for both is tried for each.
    pub(super) async fn derive_file(
        &mut self,
        opening: &Opening,
        folder: &Path,
        (file, format): (&File, Format),
        next: Option<&File>,
    ) -> Result<Made, Trouble> {
        if let Some(along) = self.along.take_if(|along| along.is(folder, file)) {
            return Ok(along.made);
        }
        let wanted = next.filter(|next| !self.is_under_way(folder, next));
        let rule = wanted.and_then(|next| opening.formats.get(next.lane));
        if let (Some(next), Some(rule)) = (wanted, rule) {
            let both = vec![(file.clone(), format), (next.clone(), rule.format)];
            if let Ok(made) = derive::files(folder.to_owned(), both).await
                && let Ok([made, along]) = <[Made; 2]>::try_from(made)
            {
                self.along = Some(Along {
                    lane: next.lane,
                    number: next.number,
                    made: along,
                });
                return Ok(made);
            }
        }
        Ok(derive::file(folder.to_owned(), file.clone(), format).await?)
    }

    /// Whether somebody has made the file already, or is writing it.
    fn is_under_way(&self, folder: &Path, file: &File) -> bool {
        let waits = self.along.as_ref().is_some_and(|a| a.is(folder, file));
        waits
            || self
                .ahead
                .iter()
                .any(|ahead| ahead.is(folder, file.lane, file.number))
    }
}
