//! Where the web framework begins and ends. Beside `objects::serve` nothing else names it.

pub mod api;
pub mod play;
