//! How one element of a tensor is written; one implementation a type, so that loops over a vector do not branch on it.

use half::f16;

use crate::model::number::{write_f64, write_i64, write_u64};
use crate::model::value::Value;
use crate::serve::error::Error;

use super::text::write_str;
use super::write_value;

/// An element of a tensor.
pub(super) trait Element {
    /// Appends the element, which `depth` lists surround.
    fn write(&self, depth: usize, out: &mut Vec<u8>) -> Result<(), Error>;
}

macro_rules! element {
    ($($kind:ty: |$value:ident, $out:ident| $write:expr;)*) => {$(
        impl Element for $kind {
            #[inline]
            fn write(&self, _depth: usize, $out: &mut Vec<u8>) -> Result<(), Error> {
                let $value = self;
                $write;
                Ok(())
            }
        }
    )*};
}

element! {
    bool: |flag, out| out.extend_from_slice(if *flag { b"true" } else { b"false" });
    i8: |int, out| write_i64(out, i64::from(*int));
    i16: |int, out| write_i64(out, i64::from(*int));
    i32: |int, out| write_i64(out, i64::from(*int));
    i64: |int, out| write_i64(out, *int);
    u8: |int, out| write_u64(out, u64::from(*int));
    u16: |int, out| write_u64(out, u64::from(*int));
    u32: |int, out| write_u64(out, u64::from(*int));
    u64: |int, out| write_u64(out, *int);
    // Python has no narrower floats: NumPy widens them before they are written.
    f16: |float, out| write_f64(out, float.to_f64());
    f32: |float, out| write_f64(out, f64::from(*float));
    f64: |float, out| write_f64(out, *float);
    String: |text, out| write_str(out, text);
}

impl Element for Value {
    fn write(&self, depth: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        write_value(self, depth + 1, out)
    }
}
