//! The floor of the API's bench: the web framework alone, with as many workers as localyun's API port has.
//!
//!   bare WORKERS BYTES
//!
//! Answers every request with BYTES bytes, on a free port of loopback. One line on standard output once it accepts: the port.

use std::io::{Error, Write};

use actix_web::{App, HttpResponse, HttpServer, web};

#[actix_web::main]
async fn main() -> Result<(), Error> {
    let number = |at: usize| {
        let given = std::env::args().nth(at).and_then(|text| text.parse().ok());
        given.ok_or_else(|| Error::other("bare WORKERS BYTES"))
    };
    let (workers, size): (usize, usize) = (number(1)?, number(2)?);
    let body = web::Bytes::from("x".repeat(size));
    let server = HttpServer::new(move || {
        let body = body.clone();
        App::new().default_service(web::to(move || {
            let body = body.clone();
            async move {
                HttpResponse::Ok()
                    .content_type("application/json")
                    .body(body)
            }
        }))
    })
    .workers(workers)
    .bind(("127.0.0.1", 0))?;
    let port = server.addrs().first().map_or(0, std::net::SocketAddr::port);
    let server = server.run();
    writeln!(std::io::stdout(), "{port}")?;
    server.await
}
