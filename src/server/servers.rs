//! The web servers that run, and how they end: what they answer at that moment is answered, for a bounded time.

use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock;

/// How long a stop waits for answers under way.
pub(super) const SHUTDOWN_SECONDS: u64 = 3;

/// All web servers, each with the task that it runs in: one that nobody polls does not hear that it is to stop.
#[derive(Default)]
pub(super) struct Servers {
    running: Vec<(ServerHandle, JoinHandle<()>)>,
    connections: Connections,
}

impl Servers {
    /// Counts the connections of all of them.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Lets a server run until it is stopped.
    pub fn keep(&mut self, server: Server) {
        let handle = server.handle();
        let task = tokio::spawn(async move {
            let _ = server.await;
        });
        self.running.push((handle, task));
    }

    /// Takes nothing more, closes the connections that are idle, and ends when the others have had their answers or their time is over.
    pub async fn finish(self) {
        for (handle, _) in &self.running {
            // The word goes out at once. The framework looks only once a second whether a connection is left, so nobody waits for its answer.
            drop(handle.stop(true));
        }
        let patience = Duration::from_secs(SHUTDOWN_SECONDS);
        if clock::machine_timeout(patience, self.connections.none())
            .await
            .is_none()
        {
            tracing::info!("answers that take longer than the stop may are cut off");
        }
        self.cut().await;
    }

    /// Ends at once, in the midst of answers too. The ports are free then.
    pub async fn cut(self) {
        for (_, task) in &self.running {
            task.abort();
        }
        for (_, task) in self.running {
            let _ = task.await;
        }
    }
}

/// How many connections there are.
#[derive(Clone, Default)]
pub(super) struct Connections(watch::Sender<usize>);

impl Connections {
    /// One more, until what it gives is dropped.
    #[must_use]
    pub fn one(&self) -> Connected {
        self.0.send_modify(|count| *count += 1);
        Connected(self.0.clone())
    }

    async fn none(&self) {
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// A connection, as long as it is there.
pub(super) struct Connected(watch::Sender<usize>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use actix_web::{App, HttpServer, web};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stop_answers_what_was_asked_and_waits_for_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let [came, may_go] = [(); 2].map(|()| Arc::new(Notify::new()));
        let (told, gate) = (came.clone(), may_go.clone());
        let mut servers = Servers::default();
        let connections = servers.connections();
        let server = HttpServer::new(move || {
            let (told, gate) = (told.clone(), gate.clone());
            let late = move || {
                let (told, gate) = (told.clone(), gate.clone());
                async move {
                    told.notify_one();
                    gate.notified().await;
                    "late"
                }
            };
            App::new()
                .route("/soon", web::get().to(|| async { "soon" }))
                .route("/late", web::get().to(late))
        });
        let server = server
            .workers(1)
            .disable_signals()
            .on_connect(move |_, data| {
                data.insert(connections.one());
            })
            .listen(listener)
            .unwrap();
        servers.keep(server.run());

        let mut idle = TcpStream::connect(address).await.unwrap();
        let ask = b"GET /soon HTTP/1.1\r\nHost: h\r\n\r\n";
        idle.write_all(ask).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"soon") {
            assert_ne!(idle.read_buf(&mut answer).await.unwrap(), 0);
        }
        let mut asking = TcpStream::connect(address).await.unwrap();
        let ask = b"GET /late HTTP/1.1\r\nHost: h\r\n\r\n";
        asking.write_all(ask).await.unwrap();
        came.notified().await;

        let began = clock::monotonic();
        let stopping = tokio::spawn(servers.finish());
        assert_eq!(idle.read_buf(&mut answer).await.unwrap(), 0);
        assert!(!stopping.is_finished());
        may_go.notify_one();
        let mut answer = String::new();
        asking.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("late"), "{answer}");
        stopping.await.unwrap();
        // The framework alone looks after a second.
        assert!(began.elapsed() < Duration::from_millis(900));
        TcpListener::bind(address).unwrap();
    }
}
