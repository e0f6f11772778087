//! The pages: which there are, and what stands on them.

mod figures;
mod home;
mod metrics;
mod routes;
mod status;

pub use self::{
    figures::{Figures, Latency, Machine},
    home::home,
    metrics::{METRICS_KIND, metrics},
    routes::{MAX_PATTERN_LEN, Route, route},
    status::status,
};
