//! Putting files into the bucket: under their name, or beside it when a foreign object holds the name.

use super::{NAMES, Worker, slice_lane};
use crate::live::decide::segmenter::File;
use crate::live::derive::Made;
use crate::live::derive::{self, playlist};
use crate::live::recorder::effect::Trouble;
use crate::live::spool::record::Opening;
use crate::model::object_name;
use crate::model::rule::Format;
use crate::objects::folder::Adopted;
use crate::objects::{PutError, Upload};
use crate::store::records::SliceRow;

impl Worker {
    /// The slices of a file that are in the bucket.
    pub(super) async fn slices_of(
        &self,
        opening: &Opening,
        file: &File,
    ) -> Result<Vec<SliceRow>, Trouble> {
        let Some(range) = file.slices else {
            return Ok(Vec::new());
        };
        let store = &self.services.store;
        let mut rows = store.slices_of_session(&opening.session, range).await?;
        rows.retain(|row| slice_lane(&row.id) == Some(file.lane));
        Ok(rows)
    }

    pub(super) async fn put_playlist(
        &self,
        opening: &Opening,
        file: &File,
        format: Format,
        wanted: &str,
        id: &str,
    ) -> Result<(String, u64, i32, i32), Trouble> {
        let rows = self.slices_of(opening, file).await?;
        let Some(sample) = rows.first() else {
            return Err(Trouble::Lost(
                "no slice of the file is in the bucket".to_owned(),
            ));
        };
        let (width, height) = (sample.width, sample.height);
        let map = match format {
            Format::Cmaf => Some(self.put_init(opening, file, sample).await?),
            _ => None,
        };
        let mut object = wanted.to_owned();
        self.check_remembered()?;
        for n in 1..NAMES {
            let place = (opening.rule.oss_bucket.as_str(), object.as_str());
            let urls = &self.services.public_urls;
            let text = playlist::text(&rows, place, map.as_deref(), urls);
            let size = text.len() as u64;
            let upload = Upload {
                bucket: &opening.rule.oss_bucket,
                key: &object,
                content_type: format.content_type(),
                tag: id,
                epoch: self.fence.epoch(),
            };
            match self.services.objects.put_text(&upload, text).await {
                Ok(()) => return Ok((object, size, width, height)),
                Err(PutError::Taken) => object = object_name::beside(wanted, n),
                Err(other) => return Err(other.into()),
            }
        }
        Err(Trouble::Lost(format!(
            "every name beside {wanted} is taken"
        )))
    }

    /// The CMAF header that a playlist's fragments need.
    pub(super) async fn put_init(
        &self,
        opening: &Opening,
        file: &File,
        sample: &SliceRow,
    ) -> Result<String, Trouble> {
        let made =
            derive::cmaf_init(self.services.spool.join(&opening.session), file.clone()).await?;
        let wanted = format!("{}_init.mp4", sample.object.trim_end_matches(".m4s"));
        let id = format!("{}:init:{}", opening.session, file.number);
        self.put_file(opening, &wanted, "video/mp4", &id, &made)
            .await
    }

    /// Puts a file under its name, or beside it when a foreign object holds the name.
    pub(super) async fn put_file(
        &self,
        opening: &Opening,
        wanted: &str,
        content_type: &'static str,
        id: &str,
        made: &Made,
    ) -> Result<String, Trouble> {
        let file = Adopted {
            path: &made.path,
            crc64: made.crc64,
        };
        self.check_remembered()?;
        let mut object = wanted.to_owned();
        for n in 1..NAMES {
            let upload = Upload {
                bucket: &opening.rule.oss_bucket,
                key: &object,
                content_type,
                tag: id,
                epoch: self.fence.epoch(),
            };
            match self.services.objects.put_file(&upload, file).await {
                Ok(()) => {
                    made.remove();
                    return Ok(object);
                }
                Err(PutError::Taken) => object = object_name::beside(wanted, n),
                Err(other) => return Err(other.into()),
            }
        }
        Err(Trouble::Lost(format!(
            "every name beside {wanted} is taken"
        )))
    }

    /// What was begun before all was forgotten has no place in what comes then.
    fn check_remembered(&self) -> Result<(), Trouble> {
        Ok(self.services.store.check_era(&self.fence)?)
    }
}
