//! What travels in an API call: parameters, percent-encoding, the form of answers, and what their bodies are made of. It knows no action and no setting.

pub mod http_parts;
pub mod outgoing;
pub mod params;
pub mod percent;
pub mod render;
