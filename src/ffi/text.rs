//! Rust texts in the two forms C takes them: a C string, and a field of fixed size.

use std::ffi::{c_char, CString};

/// A text as a C string. C ends it at its first NUL, so one inside is replaced.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// A text as a NUL-terminated array. What does not fit is cut at a character and ends in "...".
pub(super) fn fixed_text<const N: usize>(text: &str) -> [c_char; N] {
    const CUT: &str = "...";
    let mut kept = text.len();
    if kept >= N {
        kept = N - 1 - CUT.len();
        while !text.is_char_boundary(kept) {
            kept -= 1;
        }
    }
    let mark = if kept < text.len() { CUT } else { "" };
    let mut chars = [0; N];
    for (to, from) in chars.iter_mut().zip(text[..kept].bytes().chain(mark.bytes())) {
        *to = from as c_char;
    }
    chars
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The text in a field of fixed size.
    pub(crate) fn text(chars: &[c_char]) -> String {
        let bytes: Vec<u8> = chars.iter().map(|&c| c as u8).collect();
        let text = std::ffi::CStr::from_bytes_until_nul(&bytes).expect("ends with a NUL");
        text.to_str().expect("cut at a character").to_owned()
    }

    #[test]
    fn what_is_cut_says_so_and_ends_with_a_whole_character() {
        for whole in ["", "1234567"] {
            assert_eq!(text(&fixed_text::<8>(whole)), whole);
        }
        assert_eq!(text(&fixed_text::<8>("12345678")), "1234...");
        assert_eq!(text(&fixed_text::<8>("123\u{e4}56789")), "123...");
        assert_eq!(text(&fixed_text::<8>("12\u{e4}56789")), "12\u{e4}...");
        assert_eq!(fixed_text::<8>("123456789")[7], 0);
    }
}
