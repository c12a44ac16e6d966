//! What is for people and their tools: predictions of flat records.

mod predict;
