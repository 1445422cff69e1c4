//! Work done in order, on a thread for as long as there is any: whoever waits for a slow sender holds none.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::FolderError;

/// Batches that wait in one consumer's queue.
const DEPTH: usize = 16;

/// Bytes on their way, and the room in memory that they were given.
pub struct Batch {
    bytes: Vec<Bytes>,
    /// Given back when the last consumer is done with the batch.
    _room: OwnedSemaphorePermit,
}

impl Batch {
    pub fn new(bytes: Vec<Bytes>, room: OwnedSemaphorePermit) -> Self {
        Self { bytes, _room: room }
    }
}

/// A queue of batches and what they are worked into.
pub struct Consumer<T> {
    queue: mpsc::Sender<Arc<Batch>>,
    work: JoinHandle<Result<T, FolderError>>,
}

impl<T: Send + 'static> Consumer<T> {
    /// Starts a consumer; `step` takes the bytes one after the other.
    pub fn start(into: T, step: fn(&mut T, &[u8]) -> io::Result<()>) -> Self {
        let (queue, batches) = mpsc::channel(DEPTH);
        let work = tokio::spawn(serve(into, step, batches));
        Self { queue, work }
    }

    /// Queues a batch; waits while its queue is full. False when the work has failed, which [`Consumer::finish`] explains.
    pub async fn push(&self, batch: Arc<Batch>) -> bool {
        self.queue.send(batch).await.is_ok()
    }

    /// What came of all batches.
    pub async fn finish(self) -> Result<T, FolderError> {
        drop(self.queue);
        self.work.await?
    }
}

async fn serve<T: Send + 'static>(
    mut into: T,
    step: fn(&mut T, &[u8]) -> io::Result<()>,
    mut batches: mpsc::Receiver<Arc<Batch>>,
) -> Result<T, FolderError> {
    while let Some(first) = batches.recv().await {
        let working = spawn_blocking(move || {
            let mut next = Some(first);
            while let Some(batch) = next {
                for bytes in &batch.bytes {
                    step(&mut into, bytes)?;
                }
                drop(batch);
                next = batches.try_recv().ok();
            }
            Ok::<_, io::Error>((into, batches))
        });
        (into, batches) = working.await??;
    }
    Ok(into)
}
