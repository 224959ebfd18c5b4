//! Generated titles, descriptions, tags and poster names, written as the inside of JSON strings.

use super::names::{FIRST_NAMES, LAST_NAMES};
use super::random::{Random, Stream};
use super::words::{ADJECTIVES, BRAND_ENDINGS, BRAND_LINES, BRANDS, Category, EMOJI, FOREIGN, OCCASIONS, OFFERS};

/// A part of a sentence. Nothing that it writes needs escaping in JSON.
#[derive(Clone, Copy)]
enum Piece {
    Text(&'static str),
    Adjective,
    Topic,
    Verb,
    Offer,
    Occasion,
    Brand,
    Number,
}

use Piece::{Adjective, Brand, Number, Occasion, Offer, Text, Topic, Verb};

const TITLES: &[&[Piece]] = &[
    &[Number, Text(" "), Adjective, Text(" "), Topic, Text(" "), Offer, Text(" For "), Occasion],
    &[Text("How To "), Verb, Text(" A "), Adjective, Text(" "), Topic, Text(" In "), Number, Text(" Steps")],
    &[Adjective, Text(" "), Topic, Text(" "), Offer, Text(" That Will Surprise You This Season")],
    &[Text("The "), Adjective, Text(" "), Topic, Text(" "), Offer, Text(": "), Verb, Text(" It Yourself")],
    &[Number, Text(" Ways To "), Verb, Text(" Your "), Topic, Text(" Without Stress")],
    &[Adjective, Text(" And "), Adjective, Text(" "), Topic, Text(" For "), Occasion],
    &[Verb, Text(" Your Own "), Topic, Text(" - "), Brand, Text(" Journal, Part "), Number],
    &[Topic, Text(" "), Offer, Text(" For "), Occasion, Text(" | "), Brand],
    &[Text("DIY "), Topic, Text(" And "), Adjective, Text(" "), Topic, Text(" "), Offer],
    &[Text("Why Everyone Wants To "), Verb, Text(" This "), Adjective, Text(" "), Topic],
];

/// What the titles with a comma end in.
const COMMA_ENDING: &[Piece] = &[Text(", "), Topic, Text(" And More")];

const SENTENCES: &[&[Piece]] = &[
    &[
        Text("Looking for "),
        Adjective,
        Text(" "),
        Topic,
        Text(" "),
        Offer,
        Text("? Here are "),
        Number,
        Text(" that are made for "),
        Occasion,
        Text("."),
    ],
    &[Text("This "), Adjective, Text(" "), Topic, Text(" takes less than an hour and looks as if it came from a shop.")],
    &[Verb, Text(" the "), Topic, Text(" first, then add a "), Adjective, Text(" "), Topic, Text(" on top.")],
    &[Text("We asked "), Number, Text(" readers how they "), Verb, Text(" a "), Topic, Text(", and this is what they said.")],
    &[Text("Save this for later: "), Adjective, Text(" "), Offer, Text(" from "), Brand, Text(", with pictures of every step.")],
    &[Text("A "), Adjective, Text(" "), Topic, Text(" for "), Occasion, Text("!")],
    &[Text("You only need a "), Topic, Text(", some patience and "), Number, Text(" minutes.")],
    &[Text("Find out which "), Topic, Text(" suits you, why it works, and what it costs.")],
    &[Text("See more "), Topic, Text(" "), Offer, Text(" on the "), Brand, Text(" blog.")],
];

/// Two-word and three-word tags; every table has more of the first.
const TAGS: &[&[Piece]] = &[
    &[Topic, Text(" "), Offer],
    &[Adjective, Text(" "), Topic],
    &[Topic, Text(" Diy")],
    &[Topic],
    &[Text("Diy "), Topic],
    &[Topic, Text(" "), Offer],
];

fn piece(out: &mut Vec<u8>, random: &mut Random, category: &Category, piece: Piece) {
    let word = match piece {
        Text(text) => text,
        Adjective => random.pick(ADJECTIVES),
        Topic => random.pick(category.topics),
        Verb => random.pick(category.verbs),
        Offer => random.pick(OFFERS),
        Occasion => random.pick(OCCASIONS),
        Brand => random.pick(BRANDS),
        Number => return decimal(out, 3 + random.below(98) as u64),
    };
    out.extend_from_slice(word.as_bytes());
}

fn sentence(out: &mut Vec<u8>, random: &mut Random, category: &Category, templates: &[&[Piece]]) {
    for &part in random.pick(templates) {
        piece(out, random, category, part);
    }
}

/// Writes a number in decimal digits.
pub(super) fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// What a title should have besides its words.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TitleExtras {
    pub quotes: bool,
    pub emoji: bool,
}

/// Writes a title: 52 bytes on average.
pub(super) fn title(out: &mut Vec<u8>, random: &mut Random, category: &Category, extras: TitleExtras) {
    if extras.quotes {
        out.extend_from_slice(b"\\\"");
        out.extend_from_slice(random.pick(category.topics).as_bytes());
        out.extend_from_slice(b"\\\" - ");
    }
    sentence(out, random, category, TITLES);
    let kind = random.unit();
    if kind < 0.05 {
        for &part in COMMA_ENDING {
            piece(out, random, category, part);
        }
    } else if kind < 0.15 {
        out.extend_from_slice(random.pick(FOREIGN).as_bytes());
    }
    if extras.emoji {
        out.push(b' ');
        out.extend_from_slice(random.pick(EMOJI).as_bytes());
    }
}

/// The most characters that a description has before it is cut off.
const DESCRIPTION_CHARACTERS: usize = 178;

/// Writes a description: long ones are cut off with an ellipsis and a no-break space, as the site does.
pub(super) fn description(out: &mut Vec<u8>, random: &mut Random, category: &Category, cut_off: bool, emoji: bool) {
    let start = out.len();
    if emoji {
        out.extend_from_slice(random.pick(EMOJI).as_bytes());
        out.push(b' ');
    }
    let wanted = if cut_off { DESCRIPTION_CHARACTERS } else { random.below(158) };
    loop {
        sentence(out, random, category, SENTENCES);
        if out.len() - start >= wanted {
            break;
        }
        out.push(b' ');
    }
    if cut_off {
        let text = &out[start..];
        let end = (0..=DESCRIPTION_CHARACTERS.min(text.len()))
            .rev()
            .find(|&at| text.get(at).is_none_or(|byte| (byte & 0xC0) != 0x80))
            .unwrap_or(0);
        out.truncate(start + end);
        out.extend_from_slice("…\u{a0}".as_bytes());
    }
}

/// Writes nine tags, separated by commas: 154 bytes on average.
pub(super) fn tags(out: &mut Vec<u8>, random: &mut Random, category: &Category) {
    for number in 0..9 {
        if number > 0 {
            out.push(b',');
        }
        sentence(out, random, category, TAGS);
    }
}

/// A poster: the same number always has the same name and the same followers.
pub(super) struct Poster {
    random: Random,
    popular: bool,
}

/// As many posters as there are in a large table; a few of them make a good part of the posts.
const POSTERS: usize = 40_000;
const POPULAR_POSTERS: usize = 120;
const POPULAR_SHARE: f64 = 0.25;

impl Poster {
    /// Draws the poster of a row.
    pub(super) fn draw(random: &mut Random) -> Self {
        let popular = random.chance(POPULAR_SHARE);
        let number = if popular { random.skewed(POPULAR_POSTERS) } else { POPULAR_POSTERS + random.below(POSTERS - POPULAR_POSTERS) };
        Self { random: Random::new(0, Stream::Poster, number as u64), popular }
    }

    /// Writes the name: 22 bytes on average.
    pub(super) fn name(&self, out: &mut Vec<u8>) {
        let random = &mut self.random.clone();
        let kind = random.unit();
        if kind < 0.4 {
            out.extend_from_slice(random.pick(FIRST_NAMES).as_bytes());
            out.push(b' ');
            out.extend_from_slice(random.pick(LAST_NAMES).as_bytes());
            return;
        }
        if kind > 0.95 {
            out.extend_from_slice("Atelier Été ".as_bytes());
        } else if kind > 0.75 {
            out.extend_from_slice(b"The ");
        }
        out.extend_from_slice(random.pick(BRANDS).as_bytes());
        out.push(b' ');
        out.extend_from_slice(random.pick(BRAND_ENDINGS).as_bytes());
        if random.chance(0.42) {
            out.extend_from_slice(random.pick(BRAND_LINES).as_bytes());
        }
    }

    /// Writes the number of followers as the site displays it: `422`, `17k`, `3M`.
    pub(super) fn followers(&self, out: &mut Vec<u8>) {
        // A sequence of its own, so that followers do not depend on the kind of name.
        let unit = Random::new(self.random.clone().next(), Stream::Poster, 0).unit();
        let without = !self.popular && unit < WITHOUT_FOLLOWERS / (1.0 - POPULAR_SHARE);
        let followers = if without { 0 } else { followers_at(unit) };
        match followers {
            0..1_000 => decimal(out, followers),
            1_000..1_000_000 => {
                decimal(out, followers / 1_000);
                out.push(b'k');
            }
            _ => {
                decimal(out, followers / 1_000_000);
                out.push(b'M');
            }
        }
    }
}

/// Followers at every twentieth of a real table, from the least to the most.
const FOLLOWER_QUANTILES: [f64; 21] =
    [1.0, 28.0, 184.0, 513.0, 1e3, 3.25e3, 6e3, 9e3, 14e3, 21e3, 30e3, 42e3, 59e3, 88e3, 130e3, 211e3, 353e3, 538e3, 942e3, 2e6, 15.9e6];

/// The share of posts by posters without followers.
const WITHOUT_FOLLOWERS: f64 = 13.0 / 2185.0;

fn followers_at(unit: f64) -> u64 {
    let at = unit * 20.0;
    let below = (at as usize).min(19);
    let (low, high) = (FOLLOWER_QUANTILES[below], FOLLOWER_QUANTILES[below + 1]);
    (low + (high - low) * (at - below as f64).powi(2)) as u64
}
