//! Where a WebSocket's messages end: only there can the gate say a word of its own (RFC 6455 section 5.2).

/// Longest head of a frame, in bytes.
const HEAD_MAX: usize = 14;

/// A message that the gate's policy does not allow (RFC 6455 section 7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// Follows the frames that one end sends.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD_MAX],
    /// Bytes of the head that have come.
    come: usize,
    /// Bytes of the payload that are still to come.
    left: u64,
}

impl Frames {
    /// Takes note of what was sent.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            if skipped > 0 {
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head[self.come] = bytes[0];
            bytes = &bytes[1..];
            self.come += 1;
            if let Some(length) = payload(&self.head[..self.come]) {
                (self.come, self.left) = (0, length);
            }
        }
    }

    /// Whether what comes next begins a frame.
    pub(super) const fn is_between(&self) -> bool {
        self.come == 0 && self.left == 0
    }
}

/// The length of the payload behind a whole head.
fn payload(head: &[u8]) -> Option<u64> {
    let [_, second, extended @ ..] = head else { return None };
    let (size, masked) = (second & 0x7f, second & 0x80 != 0);
    let width = match size {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if extended.len() < width + if masked { 4 } else { 0 } {
        return None;
    }
    Some(match width {
        0 => u64::from(size),
        width => extended[..width].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    })
}

/// The frame with which a server ends a WebSocket, with the reason, which has at most 123 bytes.
pub(super) fn close(reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let mut frame = vec![0x88, 2 + u8::try_from(reason.len()).unwrap_or(0)];
    frame.extend(POLICY_VIOLATION.to_be_bytes());
    frame.extend(reason);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(mask | length as u8),
            126..0x1_0000 => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.extend(vec![0x81; length]);
        frame
    }

    proptest! {
        #[test]
        fn a_frame_ends_exactly_where_it_does(
            frames in prop::collection::vec((prop_oneof![0..300_usize, 65_530..65_540_usize], any::<bool>()), 1..5),
            piece in 1..70_000_usize,
        ) {
            let mut followed = Frames::default();
            for (length, masked) in frames {
                let frame = frame(length, masked);
                let (all_but_one, last) = frame.split_at(frame.len() - 1);
                for piece in all_but_one.chunks(piece) {
                    followed.pass(piece);
                    prop_assert!(!followed.is_between());
                }
                followed.pass(last);
                prop_assert!(followed.is_between());
            }
        }

        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            Frames::default().pass(&bytes);
        }
    }

    #[test]
    fn a_close_says_why() {
        assert_eq!(close("over"), b"\x88\x06\x03\xf0over");
        assert_eq!(close(&"x".repeat(200)).len(), 2 + 125);
    }
}
