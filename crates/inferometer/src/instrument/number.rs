//! What can be said to a gauge, or to a histogram of floats.

use std::time::Duration;

/// A number that becomes an `f64`: any primitive one, or a duration, which becomes seconds.
///
/// Integers past 2^53 are rounded.
pub trait IntoF64 {
    /// The number as a float.
    fn into_f64(self) -> f64;
}

macro_rules! as_f64 {
    ($($number:ty),*) => {$(
        impl IntoF64 for $number {
            #[inline(always)]
            fn into_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}

as_f64!(f64, f32, i8, u8, i16, u16, i32, u32, i64, u64, isize, usize);

impl IntoF64 for Duration {
    #[inline(always)]
    fn into_f64(self) -> f64 {
        self.as_secs_f64()
    }
}
