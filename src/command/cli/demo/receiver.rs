//! The user's side of callbacks: a few lines of HTTP/1.1 (RFC 9112) that take a POST with a body and answer 200.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::cli::CliError;
use crate::clock::{machine_sleep, machine_timeout};

/// Bytes of a request's head.
const MAX_HEAD: u64 = 16 * 1024;
/// Bytes of a callback's body.
const MAX_BODY: usize = 256 * 1024;
/// Connections that are served at a time.
const MAX_CONNECTIONS: usize = 16;
/// Callbacks that wait for the demo to look at them.
const MAX_WAITING: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes callbacks on a port of its own.
#[derive(Debug)]
pub(super) struct Receiver {
    url: String,
    callbacks: mpsc::Receiver<Value>,
}

impl Receiver {
    /// Listens on a free port.
    pub(super) async fn start() -> Result<Self, CliError> {
        let failed = |error| CliError::failed(format!("no port for callbacks: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let url = format!("http://{}/callback", listener.local_addr().map_err(failed)?);
        let (sender, callbacks) = mpsc::channel(MAX_WAITING);
        tokio::spawn(accept(listener, sender));
        Ok(Self { url, callbacks })
    }

    /// Where callbacks go.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The next callback's body.
    pub(super) async fn next(&mut self) -> Option<Value> {
        self.callbacks.recv().await
    }
}

/// Ends when the receiver is gone.
async fn accept(listener: TcpListener, sender: mpsc::Sender<Value>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let socket = tokio::select! {
            () = sender.closed() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = socket else {
            // Out of file handles, as a rule: others have to be closed first.
            machine_sleep(Duration::from_millis(50)).await;
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move {
            let _place = place;
            machine_timeout(PATIENCE, converse(socket, &sender)).await;
        });
    }
}

async fn converse(mut socket: TcpStream, sender: &mpsc::Sender<Value>) {
    let status = match read(&mut socket).await {
        Ok(body) => match serde_json::from_slice(&body) {
            Ok(callback) => match sender.send(callback).await {
                Ok(()) => "200 OK",
                Err(_) => "503 Service Unavailable",
            },
            Err(_) => "400 Bad Request",
        },
        Err(status) => status,
    };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let _ = socket.write_all(answer.as_bytes()).await;
    let _ = socket.shutdown().await;
}

/// The body of a POST, or the status that refuses it.
async fn read(socket: &mut TcpStream) -> Result<Vec<u8>, &'static str> {
    const BAD: &str = "400 Bad Request";
    let mut reader = BufReader::new(socket);
    let mut head = (&mut reader).take(MAX_HEAD);
    let mut length = None;
    let mut first = true;
    loop {
        let mut line = String::new();
        head.read_line(&mut line).await.map_err(|_| BAD)?;
        if !line.ends_with('\n') {
            return Err("431 Request Header Fields Too Large");
        }
        let line = line.trim_end();
        if first && !line.starts_with("POST ") {
            return Err("405 Method Not Allowed");
        }
        first = false;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse::<usize>().map_err(|_| BAD)?);
        }
    }
    let length = length.ok_or("411 Length Required")?;
    if length > MAX_BODY {
        return Err("413 Content Too Large");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.map_err(|_| BAD)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(receiver: &Receiver, request: &str) -> String {
        let addr = receiver
            .url
            .trim_start_matches("http://")
            .trim_end_matches("/callback");
        let mut socket = TcpStream::connect(addr).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // A refusal may come with bytes unread, which cuts the connection.
        let _ = socket.read_to_string(&mut answer).await;
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn a_post_is_taken_and_answered() {
        let mut receiver = Receiver::start().await.unwrap();
        let request = "POST /callback HTTP/1.1\r\nHost: h\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
        assert_eq!(ask(&receiver, request).await, "HTTP/1.1 200 OK");
        assert_eq!(receiver.next().await, Some(serde_json::json!({"a": 1})));
    }

    #[tokio::test]
    async fn what_is_no_callback_is_refused() {
        let receiver = Receiver::start().await.unwrap();
        let expected = [
            ("GET / HTTP/1.1\r\n\r\n", "405"),
            ("POST / HTTP/1.1\r\n\r\n", "411"),
            ("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nContent-Length: 262145\r\n\r\n", "413"),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n{", "400"),
        ];
        for (request, status) in expected {
            let answer = ask(&receiver, request).await;
            assert!(
                answer.contains(status),
                "{request:?} is answered {answer:?}"
            );
        }
        let endless = format!(
            "POST / HTTP/1.1\r\nX: {}",
            "x".repeat(usize::try_from(MAX_HEAD).unwrap())
        );
        let answer = ask(&receiver, &endless).await;
        assert!(answer.is_empty() || answer.contains("431"), "{answer}");
    }
}
