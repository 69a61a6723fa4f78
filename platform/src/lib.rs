//! The Linux driver.

pub mod api;
pub mod http;
