//! The words of generated posts. All of them are invented or common: none comes from a real post.

/// What posts of one category talk about.
pub(super) struct Category {
    /// Its name, as in the column `category`.
    pub name: &'static str,
    /// How often it comes up, in thousandths; they add up to a thousand.
    pub weight: u16,
    /// Things, in title case.
    pub topics: &'static [&'static str],
    /// What one does with them, in title case.
    pub verbs: &'static [&'static str],
}

/// All categories. Their weights are those of a real table.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const CATEGORIES: &[Category] = &[
    Category {
        name: "christmas",
        weight: 99,
        topics: &[
            "Wreath", "Garland", "Mantel", "Ornament", "Stocking", "Advent Calendar", "Snow Globe", "Gingerbread House", "Tree Topper", "Gift Tag", "Candle Holder",
            "Porch Light", "Sleigh Bell", "Nutcracker", "Cookie Tin", "Paper Star", "Mistletoe Ball", "Table Runner", "Snowflake", "Carol Book",
        ],
        verbs: &["Decorate", "Wrap", "Hang", "Bake", "Light Up", "Craft"],
    },
    Category {
        name: "art",
        weight: 86,
        topics: &[
            "Watercolor", "Charcoal Portrait", "Gouache Landscape", "Pencil Sketch", "Ink Study", "Mural", "Linocut", "Canvas", "Palette", "Still Life", "Collage",
            "Figure Drawing", "Acrylic Pour", "Oil Pastel", "Sketchbook", "Clay Bust", "Pop Art Print", "Colour Wheel", "Zine", "Screen Print",
        ],
        verbs: &["Draw", "Paint", "Shade", "Sketch", "Blend", "Print"],
    },
    Category {
        name: "quotes",
        weight: 80,
        topics: &[
            "Morning Motto", "Friendship Saying", "Wise Line", "Affirmation", "Monday Mantra", "Poem", "Letter To Myself", "Courage Note", "Gratitude List", "Proverb",
            "Love Note", "Pep Talk", "Reminder", "Journal Prompt", "Daily Thought", "Goodnight Wish", "Song Line", "Toast", "Confidence Quote", "Patience Quote",
        ],
        verbs: &["Remember", "Share", "Believe In", "Write Down", "Live By", "Repeat"],
    },
    Category {
        name: "finance",
        weight: 79,
        topics: &[
            "Budget Sheet", "Savings Jar", "Index Fund", "Side Job", "Debt Plan", "Emergency Fund", "Cash Envelope", "Pension Pot", "Credit Score", "Tax Folder",
            "Dividend Ladder", "Grocery Bill", "Rent Check", "Net Worth Tracker", "Payday Routine", "Invoice", "Money Habit", "No Spend Week", "Mortgage", "Price Book",
        ],
        verbs: &["Save", "Earn", "Budget", "Invest", "Track", "Pay Off"],
    },
    Category {
        name: "mens-fashion",
        weight: 78,
        topics: &[
            "Oxford Shirt", "Chino", "Denim Jacket", "Wool Overcoat", "Loafer", "Pocket Square", "Linen Suit", "Field Watch", "Crew Neck", "Desert Boot", "Knit Tie",
            "Bomber Jacket", "Polo", "Tweed Blazer", "Canvas Sneaker", "Leather Belt", "Trench Coat", "Henley", "Cardigan", "Beanie",
        ],
        verbs: &["Wear", "Style", "Layer", "Match", "Press", "Pack"],
    },
    Category {
        name: "tattoos",
        weight: 78,
        topics: &[
            "Fine Line Fern", "Wrist Wave", "Forearm Compass", "Ankle Swallow", "Shoulder Peony", "Rib Script", "Moon Phase", "Geometric Fox", "Finger Dot", "Sleeve",
            "Koi", "Back Piece", "Dagger", "Lotus", "Blackwork Band", "Constellation", "Paper Plane", "Mountain Ridge", "Snake", "Olive Branch",
        ],
        verbs: &["Ink", "Design", "Choose", "Heal", "Cover", "Sketch"],
    },
    Category {
        name: "travel",
        weight: 77,
        topics: &[
            "Harbour Town", "Mountain Hut", "Night Train", "Island Ferry", "Old Quarter", "Coast Road", "Packing List", "Street Market", "Desert Camp", "Rail Pass",
            "Canal Walk", "Hot Spring", "Vineyard Route", "Beach Cabin", "City Break", "Hiking Trail", "Lake District", "Carry On Bag", "Lighthouse", "Rooftop View",
        ],
        verbs: &["Visit", "Explore", "Pack", "Book", "Wander", "Photograph"],
    },
    Category {
        name: "education",
        weight: 75,
        topics: &[
            "Reading Corner", "Fraction Chart", "Phonics Game", "Lesson Plan", "Spelling Wall", "Science Kit", "Number Line", "Story Dice", "Bulletin Board", "Study Timetable",
            "Flash Card", "Map Puzzle", "Sight Word List", "Classroom Job Chart", "Times Table", "Writing Prompt", "Calm Corner", "Sensory Bin", "Quiz", "Group Project",
        ],
        verbs: &["Teach", "Learn", "Practise", "Count", "Explain", "Organise"],
    },
    Category {
        name: "diy-and-crafts",
        weight: 75,
        topics: &[
            "Macrame Hanger", "Mason Jar Lantern", "Paper Flower", "Felt Animal", "Yarn Rug", "Soap Bar", "Beeswax Candle", "Pallet Shelf", "Clay Dish", "Button Tree",
            "Tote Bag", "Pom Pom", "Stencil", "Quilt Block", "Bead Bracelet", "Crochet Basket", "Origami Crane", "Resin Tray", "Cork Board", "Friendship Band",
        ],
        verbs: &["Make", "Sew", "Fold", "Glue", "Upcycle", "Stitch"],
    },
    Category {
        name: "event-planning",
        weight: 72,
        topics: &[
            "Seating Chart", "Balloon Arch", "Backdrop", "Guest List", "Photo Booth", "Dessert Table", "Garden Party", "Name Card", "Baby Shower", "Welcome Sign",
            "Centrepiece", "Conference Badge", "Timeline", "Picnic", "Marquee", "Napkin Fold", "Invitation", "Dance Floor", "Catering Menu", "Farewell Dinner",
        ],
        verbs: &["Plan", "Host", "Set Up", "Celebrate", "Invite", "Serve"],
    },
    Category {
        name: "home-decor",
        weight: 70,
        topics: &[
            "Entryway Bench", "Gallery Wall", "Reading Nook", "Floating Shelf", "Linen Curtain", "Rattan Chair", "Kitchen Island", "Farmhouse Sink", "Throw Pillow",
            "Bedroom Corner", "Tile Splashback", "Coffee Table", "Floor Lamp", "Pantry", "Window Seat", "Accent Wall", "Plant Stand", "Woven Rug", "Mirror", "Balcony",
        ],
        verbs: &["Style", "Refresh", "Paint", "Organise", "Brighten", "Arrange"],
    },
    Category {
        name: "beauty",
        weight: 66,
        topics: &[
            "Skin Routine", "Face Mask", "Nail Shape", "Lip Tint", "Brow Gel", "Braid", "Curly Bob", "Hair Oil", "Smoky Eye", "Sunscreen", "Body Scrub", "Bun",
            "Blush", "Fringe", "Manicure", "Eyeliner", "Serum", "Balayage", "Hand Cream", "Freckle Look",
        ],
        verbs: &["Try", "Apply", "Braid", "Cleanse", "Blend", "Tone"],
    },
    Category {
        name: "vehicles",
        weight: 65,
        topics: &[
            "Roadster", "Camper Van", "Pickup Truck", "Cafe Racer", "Estate Car", "Rally Coupe", "Electric Bike", "Off Road Rig", "Vintage Scooter", "Hatchback", "Roof Rack",
            "Dashboard", "Alloy Wheel", "Trailer", "Garage", "Convertible", "Sidecar", "Tuning Kit", "Car Seat Cover", "Engine Bay",
        ],
        verbs: &["Drive", "Restore", "Tune", "Wash", "Convert", "Customise"],
    },
];

/// How things are, in title case.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const ADJECTIVES: &[&str] = &[
    "Easy", "Simple", "Cosy", "Modern", "Rustic", "Vintage", "Minimal", "Bold", "Handmade", "Budget Friendly", "Timeless", "Playful", "Elegant", "Colourful", "Clever",
    "Gorgeous", "Tiny", "Classic", "Unexpected", "Quick", "Creative", "Stunning", "Natural", "Neutral", "Scandinavian", "Boho", "Everyday", "Thoughtful", "Unique", "Best",
    "Lovely", "Beautiful", "Practical", "Affordable", "Dreamy", "Chic",
];

/// What posts offer, in title case.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const OFFERS: &[&str] = &[
    "Ideas", "Tips", "Tutorial", "Inspiration", "Tricks", "Guide", "Designs", "Projects", "Hacks", "Lessons", "Examples", "Trends", "Aesthetic", "Looks", "Patterns",
    "Templates", "Checklist", "Secrets", "Favourites", "Tools",
];

/// For whom or when, in title case.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const OCCASIONS: &[&str] = &[
    "Beginners", "Small Spaces", "Busy People", "Your Home", "The Weekend", "Spring", "Autumn", "A Rainy Day", "The Whole Family", "Teens", "Kids", "Couples", "Adults",
    "Next Summer", "Cold Evenings", "Any Budget", "A Special Day", "The New Year", "Students", "Women", "Men", "Your Best Friend",
];

/// Names that blogs and shops could have.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const BRANDS: &[&str] = &[
    "Maple", "Juniper", "Harbor", "Willow", "Cobalt", "Linden", "Saffron", "Pebble", "Meadow", "Copper", "Marigold", "Fern", "Clover", "Indigo", "Hazel", "Otter",
    "Ginger", "Thistle", "Velvet", "Olive", "Poppy", "Sparrow", "Ember", "Birch", "Lantern", "Basil", "Coral", "Plum", "Heron", "Quill",
];

/// What such a name may end in.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const BRAND_ENDINGS: &[&str] = &[
    "Studio", "Home", "& Co", "Journal", "Living", "Workshop", "Diary", "Collective", "House", "Blog", "Made", "Daily", "Society", "Notes", "Lane",
];

/// What a blog writes after its name.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const BRAND_LINES: &[&str] = &[
    " | Home, Food and Slow Weekends", " | Crafts & DIY Projects", " | Money Tips For Real Life", " | Travel Blog", " - Simple Ideas For Every Day",
    " | Lifestyle, Style & Beauty Blogger", " | Printables for teachers", " · handmade in small batches",
];

/// Words that are not plain ASCII, each with a space before it.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const FOREIGN: &[&str] = &[
    " – Décor", " – Café Edition", " · Ideias Fáceis", " – Frühling", " · Идеи для дома", " – L’été", " – Día a Día", " · 手作り", " – Próximo Verão", " – It’s Here",
];

/// Pictures in text.
#[rustfmt::skip] // a word a line would fill pages
pub(super) const EMOJI: &[&str] = &["🎄", "✨", "🌿", "😍", "🎨", "💡", "❤️", "🚗", "👩‍🎨", "🇧🇪"];
