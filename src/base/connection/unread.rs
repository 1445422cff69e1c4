//! Answering a request whose body was not read to its end.
//!
//! The web framework goes on reading what is left of a chunked body, for as long as the client cares to send a byte now and then. Only a
//! body that is still held when the answer ends makes it close the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::{HttpResponse, web};
use bytes::Bytes;

struct Holding {
    answer: BoxBody,
    _unread: web::Payload,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.get_mut().answer.as_pin_mut().poll_next(context)
    }
}

/// The answer, after which the connection is closed.
#[must_use]
pub fn close_after(mut answer: HttpResponse, unread: web::Payload) -> HttpResponse {
    answer
        .head_mut()
        .set_connection_type(actix_web::http::ConnectionType::Close);
    answer.map_body(|_, answer| {
        BoxBody::new(Holding {
            answer,
            _unread: unread,
        })
    })
}
