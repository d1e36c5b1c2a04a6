//! A value in a mapped file, of which threads and other processes see every change at once.

use std::ops::Deref;

use super::mapping::Mapping;

/// What may lie in a mapped file.
///
/// # Safety
/// The type consists of atomics and of [`Pair`](super::Pair)s, so any bytes are a value of it and
/// others may change them at any time. It is aligned to at most a page.
pub unsafe trait Shared: Sync {}

/// A value at the beginning of a mapped file, which is unmapped when this is dropped.
#[derive(Debug)]
pub struct Mapped<T> {
    #[cfg(not(all(test, loom)))]
    mapping: Mapping,
    #[cfg(not(all(test, loom)))]
    value: std::marker::PhantomData<T>,
    /// The models have no files, and atomics of their own.
    #[cfg(all(test, loom))]
    value: Box<T>,
}

#[cfg(not(all(test, loom)))]
impl<T: Shared> Mapped<T> {
    /// The value in a writable mapping, which must be long enough.
    pub fn new(mapping: Mapping) -> Self {
        assert!(mapping.size() >= size_of::<T>(), "{} bytes mapped", mapping.size());
        assert!(mapping.as_mut_ptr().cast::<T>().is_aligned());
        Mapped { mapping, value: std::marker::PhantomData }
    }

    /// What it lies in.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

#[cfg(all(test, loom))]
impl<T: Shared> Mapped<T> {
    /// Is never called.
    pub fn new(_: Mapping) -> Self {
        unreachable!("a model has no files")
    }

    /// Is never called.
    pub fn mapping(&self) -> &Mapping {
        unreachable!("a model has no files")
    }

    /// The value in memory.
    pub fn in_model(value: T) -> Self {
        Mapped { value: Box::new(value) }
    }
}

impl<T: Shared> Deref for Mapped<T> {
    type Target = T;

    #[cfg(not(all(test, loom)))]
    fn deref(&self) -> &T {
        // SAFETY: `new` has checked that the mapping is writable, aligned and long enough. It lives
        // as long as `self`, and any bytes in it are a `T`, whoever changes them (`Shared`).
        unsafe { &*self.mapping.as_mut_ptr().cast() }
    }

    #[cfg(all(test, loom))]
    fn deref(&self) -> &T {
        &self.value
    }
}
