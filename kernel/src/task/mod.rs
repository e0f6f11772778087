//! What runs on a CPU: tasks, and what it does when there are none.

pub mod executor;
