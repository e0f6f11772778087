//! What runs on a CPU: tasks.

pub mod executor;
