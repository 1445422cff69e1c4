//! What travels in an API call: parameters, percent-encoding, and the form of answers. It knows no action and no setting.

pub mod http_parts;
pub mod params;
pub mod percent;
pub mod render;
