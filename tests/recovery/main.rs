//! Every row of the recovery table: how an open recovers what a crash has left.

mod active;
mod copies;
mod cuts;
mod end;
mod field_faults;
mod from_memory;
mod gone;
mod in_the_way;
mod loss;
mod moved;
mod neighbours;
mod order;
mod pairs;
mod recycled;
mod rows;
