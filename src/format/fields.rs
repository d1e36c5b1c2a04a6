//! Fields of a struct in the bytes of a file.

/// A field: an integer, little-endian, or some bytes.
pub trait Field {
    /// Takes it from the beginning of `bytes`. The caller makes sure that there are enough.
    fn read(bytes: &[u8]) -> Self;
    /// Puts it at the beginning of `bytes`.
    fn write(self, bytes: &mut [u8]);
}

impl<const N: usize> Field for [u8; N] {
    fn read(bytes: &[u8]) -> Self {
        *bytes.first_chunk().expect("the bytes of a field")
    }

    fn write(self, bytes: &mut [u8]) {
        bytes[..N].copy_from_slice(&self);
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Field for $integer {
            fn read(bytes: &[u8]) -> Self {
                <$integer>::from_le_bytes(Field::read(bytes))
            }

            fn write(self, bytes: &mut [u8]) {
                self.to_le_bytes().write(bytes);
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 u128 i64);

/// The field at an offset.
pub fn field<F: Field>(bytes: &[u8], at: usize) -> F {
    F::read(&bytes[at..])
}

/// Says once at which offset in the file each field of a struct lies. The struct in memory has the
/// same size and offsets, or it does not compile.
macro_rules! fields {
    ($name:ident, $size:ident: $($offset:literal $field:ident,)*) => {
        const _: () = assert!(std::mem::size_of::<$name>() == $size);
        $(const _: () = assert!(std::mem::offset_of!($name, $field) == $offset);)*

        impl $name {
            fn from_bytes(bytes: &[u8; $size]) -> Self {
                $name { $($field: $crate::format::fields::field(bytes, $offset),)* }
            }

            fn to_bytes(self) -> [u8; $size] {
                let mut bytes = [0; $size];
                $($crate::format::fields::Field::write(self.$field, &mut bytes[$offset..]);)*
                bytes
            }
        }
    };
}

pub(super) use fields;
