//! What there is to read.

/// Where an article stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    Free,
    Paid,
}

pub struct Article {
    pub slug: &'static str,
    pub title: &'static str,
    pub teaser: &'static str,
    pub body: [&'static str; 3],
    pub shelf: Shelf,
}

impl Article {
    /// Its path on the site: the gate tells the shelves apart by it.
    pub fn path(&self) -> String {
        match self.shelf {
            Shelf::Free => format!("/articles/{}", self.slug),
            Shelf::Paid => format!("/premium/{}", self.slug),
        }
    }

    /// The article on this shelf.
    pub fn find(shelf: Shelf, slug: &str) -> Option<&'static Self> {
        ALL.iter().find(|article| article.shelf == shelf && article.slug == slug)
    }
}

pub const ALL: [Article; 4] = [
    Article {
        slug: "night-ferry",
        title: "The night ferry still runs on time",
        teaser: "Forty years of one crossing, and the crew that keeps it.",
        body: [
            "At eleven the ramp goes up, and the harbour lights slide away to the left. Nobody on the bridge says much.",
            "The timetable has not changed since the second boat was sold. What changed is who is on board: lorries then, cyclists now.",
            "By six the coffee is gone, the far shore is grey, and the same rope lands on the same bollard.",
        ],
        shelf: Shelf::Free,
    },
    Article {
        slug: "bread-queue",
        title: "Why the queue at the bakery is good news",
        teaser: "A street that waits together talks together.",
        body: [
            "The shop opens at seven, and at ten to seven there are nine people outside. They know each other by loaf.",
            "The baker says that she could sell twice as much with a second oven. She has thought about it, and bought a bench instead.",
            "The bench is always full. The rye is always gone by nine.",
        ],
        shelf: Shelf::Free,
    },
    Article {
        slug: "lighthouses",
        title: "The keepers who never left",
        teaser: "Every lighthouse on this coast is automatic. Three of them are still inhabited.",
        body: [
            "The lamp needs nobody. It needs nobody so thoroughly that the authority forgot to ask the keepers to go.",
            "They paint the railings in May, count the birds in October, and write down the weather for a book that no office collects.",
            "Asked what the work is for, the oldest of them points at the water: somebody out there, he says, may want a light with a person in it.",
        ],
        shelf: Shelf::Paid,
    },
    Article {
        slug: "map-room",
        title: "In the room where the borders were drawn",
        teaser: "What two hundred old maps say about the people who folded them.",
        body: [
            "The maps are kept flat, in drawers as wide as a bed. The creases remain, and they tell which valleys were looked up most.",
            "One sheet has a coffee ring around a village that no longer exists. Another has a route in pencil that nobody is known to have walked.",
            "The archivist's rule is simple: erase nothing. A mistake on a map is also a place where somebody once was.",
        ],
        shelf: Shelf::Paid,
    },
];
