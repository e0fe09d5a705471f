//! What `inferometer monitoring` writes: read by the programs that it is for, and run on live servers.

mod dashboards;
mod engine;
mod files;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod server;
