//! Patterns as a tree of segments, so that the cost of a search does not grow with their number.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::fold::fold;
use super::glob::Glob;
use super::pattern::Segment;

/// Whether a tree tells upper case from lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    AsTheyAre,
    Folded,
}

/// The patterns of all rules, by the index of each.
#[derive(Debug)]
pub(super) struct Tree {
    root: Node,
    letters: Letters,
}

/// One place in the tree of segments.
#[derive(Debug)]
struct Node {
    /// By text.
    literals: Vec<(String, Node)>,
    globs: Vec<(Glob, Node)>,
    one: Option<Box<Node>>,
    deep: Option<Box<Node>>,
    /// The rules whose pattern ends here, first one first.
    ends: Vec<usize>,
    /// The first rule at or below this node: a search that has an earlier one need not come here.
    first: usize,
}

/// What is looked for: the first rule that accepts the request.
struct Search<F> {
    accepts: F,
    letters: Letters,
    best: usize,
}

impl Tree {
    pub(super) const fn new(letters: Letters) -> Self {
        Self { root: Node::new(), letters }
    }

    /// Adds the pattern of a rule; rules come in their order.
    pub(super) fn add(&mut self, segments: &[Segment], index: usize) {
        self.root.add(segments, index, self.letters);
    }

    /// The first rule before `best` that has this path and accepts the request; else `best`.
    pub(super) fn first(&self, path: &str, best: usize, accepts: impl Fn(usize) -> bool) -> usize {
        let rest = path.strip_prefix('/').unwrap_or(path);
        let mut search = Search { accepts, letters: self.letters, best };
        search.walk(&self.root, rest.strip_suffix('/').unwrap_or(rest));
        search.best
    }
}

impl<F: Fn(usize) -> bool> Search<F> {
    /// Looks for a rule before the best one at or below `node`. `rest` is what is left of the path, without its first slash.
    fn walk(&mut self, node: &Node, rest: &str) {
        if node.first >= self.best {
            return;
        }
        if let Some(deep) = &node.deep {
            self.walk_deep(deep, rest);
        }
        if rest.is_empty() {
            let found = node.ends.iter().copied().find(|index| (self.accepts)(*index));
            self.best = found.map_or(self.best, |index| index.min(self.best));
            return;
        }
        let (segment, rest) = split(rest);
        if !(node.literals.is_empty() && node.globs.is_empty()) {
            let text = meaning(segment, self.letters);
            if let Ok(place) = node.place(&text) {
                self.walk(&node.literals[place].1, rest);
            }
            for (_, next) in node.globs.iter().filter(|(glob, _)| glob.matches(&text)) {
                self.walk(next, rest);
            }
        }
        if let Some(one) = &node.one {
            self.walk(one, rest);
        }
    }

    /// `**` stands for nothing, for one segment, for two, and so on.
    fn walk_deep(&mut self, deep: &Node, rest: &str) {
        // Where nothing follows the `**`, only the end of the path counts.
        let mut rest = if deep.is_leaf() { "" } else { rest };
        while !rest.is_empty() {
            self.walk(deep, rest);
            rest = split(rest).1;
        }
        self.walk(deep, rest);
    }
}

/// The first segment, and what follows its slash. Segments are short: looking at each byte costs less than a search that is
/// made for long texts.
fn split(path: &str) -> (&str, &str) {
    match path.bytes().position(|byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (path, ""),
    }
}

/// A segment as patterns have it.
fn meaning(segment: &str, letters: Letters) -> Cow<'_, str> {
    let text = if segment.as_bytes().contains(&b'%') {
        percent_decode_str(segment).decode_utf8_lossy()
    } else {
        Cow::Borrowed(segment)
    };
    match letters {
        Letters::Folded if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) => fold(&text).into(),
        Letters::AsTheyAre | Letters::Folded => text,
    }
}

impl Node {
    const fn new() -> Self {
        Self { literals: Vec::new(), globs: Vec::new(), one: None, deep: None, ends: Vec::new(), first: usize::MAX }
    }

    fn add(&mut self, segments: &[Segment], index: usize, letters: Letters) {
        self.first = self.first.min(index);
        let Some((segment, rest)) = segments.split_first() else {
            self.ends.push(index);
            return;
        };
        let next = match segment {
            Segment::One => self.one.get_or_insert_with(|| Box::new(Self::new())),
            Segment::Deep => self.deep.get_or_insert_with(|| Box::new(Self::new())),
            Segment::Glob(glob) => {
                let glob = if letters == Letters::Folded { glob.folded() } else { glob.clone() };
                let place = self.globs.iter().position(|(known, _)| *known == glob).unwrap_or_else(|| {
                    self.globs.push((glob, Self::new()));
                    self.globs.len() - 1
                });
                &mut self.globs[place].1
            }
            Segment::Literal(text) => {
                let text = if letters == Letters::Folded { fold(text) } else { text.clone() };
                let place = self.place(&text).unwrap_or_else(|free| {
                    self.literals.insert(free, (text, Self::new()));
                    free
                });
                &mut self.literals[place].1
            }
        };
        next.add(rest, index, letters);
    }

    /// Where a literal stands, or where it would.
    fn place(&self, text: &str) -> Result<usize, usize> {
        self.literals.binary_search_by(|(literal, _)| literal.as_str().cmp(text))
    }

    fn is_leaf(&self) -> bool {
        self.literals.is_empty() && self.globs.is_empty() && self.one.is_none() && self.deep.is_none()
    }
}
