//! All the SQL of billing, one file per table family.

pub mod customers;
