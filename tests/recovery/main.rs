//! Every row of the recovery table: what an open makes of what a crash has left.

mod active;
mod end;
mod loss;
mod order;
mod pairs;
mod rows;
