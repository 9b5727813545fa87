//! The program without its process, which tests call too.

mod action;
mod connections;
mod help;
mod kernel_words;
mod line;
mod names;
mod options;
mod run;
mod values;
mod views;

pub(crate) use run::{Streams, run};
