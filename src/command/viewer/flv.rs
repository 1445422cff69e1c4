//! FLV over HTTP.

use url::Url;

use super::{Sink, Tally, WatchError, chunk, get};
use crate::media::flv::stream::TagStream;

pub(super) async fn read(
    url: &Url,
    client: &reqwest::Client,
    tally: &mut Tally,
    sink: &mut Sink,
) -> Result<(), WatchError> {
    let mut response = get(url, client).await?;
    let mut tags = TagStream::new();
    while let Some(bytes) = chunk(&mut response).await? {
        tally.bytes(bytes.len());
        sink.put(&bytes)?;
        tags.feed(&bytes);
        while let Some(tag) = tags.next_tag()? {
            tally.message(tag.kind, tag.timestamp, tag.payload);
        }
    }
    tally.end();
    Ok(())
}
