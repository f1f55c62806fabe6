//! The records of a CSV table, each with the number of its line. A quote that is not closed never makes a record of what stands in it.

/// A record that can be read by itself, or the reason why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    Whole(&'a [u8]),
    /// A field in quotes goes on in the next line.
    Broken,
    /// Text stands behind the quote that ends a field.
    Trailing,
    /// A quote is not closed, and nothing behind it is read.
    Open,
}

/// The place within a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    Bare,
    Quoted,
    /// Behind a quote within quotes: the field ends, or it is one of two that stand for one.
    Closed,
    /// Behind text that stands where a field has ended.
    Behind,
}

/// The records that are not empty, each with the number of the line on which it begins, or on which the quote is opened that spoils it.
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes, line: 1 }
}

/// See [`records`].
pub struct Records<'a> {
    rest: &'a [u8],
    line: u64,
}

impl<'a> Iterator for Records<'a> {
    type Item = (u64, Record<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (line, record) = self.read();
            if record != Record::Whole(b"") {
                return Some((line, record));
            }
        }
        None
    }
}

impl<'a> Records<'a> {
    /// The next record, which may be empty.
    fn read(&mut self) -> (u64, Record<'a>) {
        let (first, bytes) = (self.line, self.rest);
        // The line of the last quote that was opened, and of the first field that goes on in the next line.
        let (mut at, mut opened, mut broken) = (At::Start, first, None);
        let mut place = 0;
        while let Some(byte) = bytes.get(place).copied() {
            let is_break = matches!(byte, b'\n' | b'\r');
            if is_break {
                let is_pair = byte == b'\r' && bytes.get(place + 1) == Some(&b'\n');
                self.line += 1;
                if at != At::Quoted {
                    self.rest = &bytes[place + 1 + usize::from(is_pair)..];
                    return Self::judged((first, &bytes[..place]), at, broken);
                }
                broken = broken.or(Some(opened));
                place += usize::from(is_pair);
            }
            at = match (at, byte) {
                (At::Start, b'"') => {
                    opened = self.line;
                    At::Quoted
                }
                (At::Start | At::Bare | At::Closed, b',') => At::Start,
                (At::Start | At::Bare, _) => At::Bare,
                (At::Quoted, b'"') => At::Closed,
                (At::Quoted, _) | (At::Closed, b'"') => At::Quoted,
                // The quote was closed by chance, by one of another line.
                (At::Closed, _) if opened != self.line => return self.open(opened),
                (At::Closed | At::Behind, _) => At::Behind,
            };
            place += 1;
        }
        if at == At::Quoted {
            return self.open(opened);
        }
        self.rest = &[];
        Self::judged((first, bytes), at, broken)
    }

    fn judged((first, text): (u64, &'a [u8]), at: At, broken: Option<u64>) -> (u64, Record<'a>) {
        match (at, broken) {
            (At::Behind, _) => (first, Record::Trailing),
            (_, Some(opened)) => (opened, Record::Broken),
            (_, None) => (first, Record::Whole(text)),
        }
    }

    fn open(&mut self, line: u64) -> (u64, Record<'a>) {
        self.rest = &[];
        (line, Record::Open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_is_not_closed_ends_the_table_and_a_field_of_lines_is_no_line_of_its_own() {
        let whole = |text: &'static str| Record::Whole(text.as_bytes());
        for (text, expected) in [
            ("", vec![]),
            ("\n\r\n\r", vec![]),
            ("a,b\r\nc\rd\n\ne", vec![(1, whole("a,b")), (2, whole("c")), (3, whole("d")), (5, whole("e"))]),
            ("\"a,\"\"b\",c\nd", vec![(1, whole("\"a,\"\"b\",c")), (2, whole("d"))]),
            ("a\"b,c\nd\"", vec![(1, whole("a\"b,c")), (2, whole("d\""))]),
            ("a,\"\"\nb", vec![(1, whole("a,\"\"")), (2, whole("b"))]),
            ("a,\"b\r\nc\",d\ne", vec![(1, Record::Broken), (3, whole("e"))]),
            ("a,\"b\"\"\nc\n\",\"d\ne\"\nf", vec![(1, Record::Broken), (5, whole("f"))]),
            ("a\n\"b,c\nd,e\nf", vec![(1, whole("a")), (2, Record::Open)]),
            ("a,\"", vec![(1, Record::Open)]),
            ("a,\"b\nc\n\"d\",e\nf", vec![(1, Record::Open)]),
            ("\"a\nb\",\"c\nd\"e\nf", vec![(2, Record::Open)]),
            ("\"a\"b,\"c\nd", vec![(1, Record::Trailing), (2, whole("d"))]),
            ("\"a\" ,c\nd", vec![(1, Record::Trailing), (2, whole("d"))]),
        ] {
            assert_eq!(records(text.as_bytes()).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
