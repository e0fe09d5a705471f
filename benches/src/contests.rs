//! Who competes at which operation. Ours is the first of each list; the tables of figures and the criterion benches
//! both take their contestants from here.

pub mod catalogue;
pub mod counter;
pub mod decode_step;
pub mod first_touch;
pub mod gauge;
pub mod histogram;
pub mod label;
pub mod timed;
