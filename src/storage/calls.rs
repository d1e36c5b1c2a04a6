//! System calls that may do less than they were asked for, repeated until all is done.

use rustix::io::{Errno, Result};

use super::pages::PAGE;

/// Repeats a call that a signal interrupted.
pub fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Reads until the buffer is full or the file ends: one call may read less than was asked for.
pub fn read_full(
    buffer: &mut [u8],
    offset: u64,
    mut pread: impl FnMut(&mut [u8], u64) -> Result<usize>,
) -> Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        let at = offset + read as u64;
        match retry(|| pread(&mut buffer[read..], at))? {
            0 => break,
            n => read += n,
        }
    }
    Ok(read)
}

/// Writes everything: one call may write less than it was given.
pub fn write_all(
    bytes: &[u8],
    offset: u64,
    mut pwrite: impl FnMut(&[u8], u64) -> Result<usize>,
) -> Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        let at = offset + written as u64;
        match retry(|| pwrite(&bytes[written..], at))? {
            0 => return Err(Errno::IO),
            n => written += n,
        }
    }
    Ok(())
}

/// Writes everything, as [`write_all`], in calls that begin at whole pages.
pub fn write_pages(
    pages: &[u8],
    offset: u64,
    mut pwrite: impl FnMut(&[u8], u64) -> Result<usize>,
) -> Result<()> {
    let mut written = 0;
    while written < pages.len() {
        let n = match retry(|| pwrite(&pages[written..], offset + written as u64)) {
            // It was not refused before, so something else is wrong.
            Err(Errno::INVAL | Errno::OPNOTSUPP) if written > 0 => return Err(Errno::IO),
            n => n?,
        };
        match n / PAGE * PAGE {
            0 => return Err(Errno::IO),
            whole => written += whole,
        }
    }
    Ok(())
}

/// Reads until the pages are full or the file ends, as [`read_full`], in calls that begin at whole
/// pages. What ends within a page is read again from the page's beginning, to see the end.
pub fn read_pages(
    pages: &mut [u8],
    offset: u64,
    mut pread: impl FnMut(&mut [u8], u64) -> Result<usize>,
) -> Result<usize> {
    let mut read = 0;
    while read < pages.len() {
        let n = retry(|| pread(&mut pages[read..], offset + read as u64))?;
        match n / PAGE * PAGE {
            0 => return Ok(read + n),
            whole => read += whole,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way in which a call can fall short: by any count, interrupted, at the end.
    #[test]
    fn short_and_interrupted_calls_are_continued() {
        let content: Vec<u8> = (0..200).collect();
        for most in 1..=201 {
            let mut calls = 0;
            let mut falls_short = |wanted: usize| {
                calls += 1;
                if calls % 3 == 0 {
                    Err(Errno::INTR)
                } else {
                    Ok(wanted.min(most))
                }
            };
            let mut file = vec![0; 7];
            write_all(&content, 7, |bytes, at| {
                let n = falls_short(bytes.len())?;
                assert_eq!(at, file.len() as u64, "it goes on where it stopped");
                file.extend_from_slice(&bytes[..n]);
                Ok(n)
            })
            .unwrap();
            assert_eq!(file[7..], content);

            let mut buffer = [0; 250];
            let read = read_full(&mut buffer, 7, |buffer, at| {
                let left = &file[at as usize..];
                let n = falls_short(buffer.len().min(left.len()))?;
                buffer[..n].copy_from_slice(&left[..n]);
                Ok(n)
            });
            assert_eq!((read.unwrap(), &buffer[..200]), (200, &content[..]));
        }
    }

    #[test]
    fn a_direct_read_ends_with_the_file_and_never_begins_within_a_page() {
        let file: Vec<u8> = (0..2 * PAGE + 700).map(|n| (n / 7) as u8).collect();
        let mut pages = vec![0; 4 * PAGE];
        let read = read_pages(&mut pages, 0, |buffer, at| {
            assert!(at % PAGE as u64 == 0, "the kernel refuses that");
            let left = &file[at as usize..];
            // Half a page more than one.
            let n = (PAGE + PAGE / 2).min(left.len());
            buffer[..n].copy_from_slice(&left[..n]);
            Ok(n)
        });
        assert_eq!((read.unwrap(), &pages[..file.len()]), (file.len(), &file[..]));
    }

    #[test]
    fn a_write_that_gets_nowhere_is_an_error() {
        assert_eq!(write_all(&[1, 2], 0, |_, _| Ok(0)), Err(Errno::IO));
        let mut left = 1;
        let full = write_all(&[1, 2], 0, |_, _| {
            left -= 1;
            if left == 0 {
                Ok(1)
            } else {
                Err(Errno::NOSPC)
            }
        });
        assert_eq!(full, Err(Errno::NOSPC));
    }

    /// A direct write that falls short is continued at a page, or not at all.
    #[test]
    fn short_writes_of_pages_go_on_at_whole_pages() {
        let pages = vec![7; 3 * PAGE];
        let mut begun = Vec::new();
        let written = write_pages(&pages, 0, |bytes, at| {
            begun.push(at as usize);
            Ok((PAGE + 512).min(bytes.len()))
        });
        assert_eq!((written, begun), (Ok(()), vec![0, PAGE, 2 * PAGE]));
        assert_eq!(write_pages(&pages, 0, |_, _| Ok(512)), Err(Errno::IO));

        let refused_at = |page: usize| {
            write_pages(&pages, 0, |_, at| match at as usize / PAGE {
                at if at == page => Err(Errno::INVAL),
                _ => Ok(PAGE),
            })
        };
        assert_eq!(refused_at(0), Err(Errno::INVAL), "nothing was written");
        assert_eq!(refused_at(1), Err(Errno::IO), "it cannot be tried otherwise any more");
    }
}
