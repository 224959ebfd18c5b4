//! Rows of the table `pin`.

use super::config::Shares;
use super::random::Random;
use super::rows::{Transport, field, number, text};
use super::text::{Poster, TitleExtras, description, tags, title};
use super::words::{CATEGORIES, Category};

/// What is wrong with the content of a pin.
struct Faults {
    broken: bool,
    no_description: bool,
    image_error: bool,
    no_tags: bool,
    /// A placeholder description.
    stand_in: Option<&'static str>,
}

impl Faults {
    /// Broken rows are those without a description and without an image too. Rows with an image
    /// error mostly have no description. One draw against rising thresholds nests them as they are
    /// in real tables.
    fn draw(random: &mut Random, shares: &Shares) -> Self {
        let draw = random.unit();
        let broken = draw < shares.broken;
        let no_tags = broken || random.chance((shares.no_tags - shares.broken) / (1.0 - shares.broken).max(f64::EPSILON));
        let kind = random.unit() - shares.empty_description;
        let stand_in = match kind {
            _ if kind < 0.0 => Some("No description available"),
            _ if kind < shares.odd_description / 2.0 => Some("Untitled"),
            _ if kind < shares.odd_description => Some("Art."),
            _ => None,
        };
        Self {
            broken,
            no_description: broken || draw < shares.no_description,
            image_error: broken || draw < shares.image_error,
            no_tags,
            stand_in,
        }
    }
}

fn category(random: &mut Random) -> &'static Category {
    let mut left = random.below(1_000) as u16;
    for category in CATEGORIES {
        if left < category.weight {
            return category;
        }
        left -= category.weight;
    }
    &CATEGORIES[0]
}

/// Writes the columns of a pin, without the braces around them.
pub(super) fn write(out: &mut Vec<u8>, row: u64, mut random: Random, shares: &Shares, transport: &Transport) {
    let random = &mut random;
    let faults = Faults::draw(random, shares);
    let category = category(random);
    let emoji = random.unit() / shares.emoji.max(f64::MIN_POSITIVE);
    let none = transport.none_text.then(|| random.below(4));

    number(out, "index", row, transport);
    text(out, "unique_id", false, |out| unique_id(out, random));
    text(out, "title", false, |out| match none {
        Some(0) => out.extend_from_slice(b"None"),
        _ if faults.broken => out.extend_from_slice(b"No Title Data Available"),
        _ => {
            let extras = TitleExtras { quotes: random.chance(shares.quotes), emoji: emoji < 0.6 };
            title(out, random, category, extras);
        }
    });
    text(out, "description", false, |out| match (none, faults.stand_in) {
        (Some(1), _) => out.extend_from_slice(b"None"),
        _ if faults.no_description => out.extend_from_slice(b"No description available Story format"),
        (_, Some(stand_in)) => out.extend_from_slice(stand_in.as_bytes()),
        _ => {
            // The share is one of all pins, but only those with a description of their own have one
            // that can be truncated.
            let own = (1.0 - shares.no_description.max(shares.broken)) * (1.0 - shares.empty_description - shares.odd_description);
            let cut_off = random.chance(shares.trailing_nbsp / own.max(f64::EPSILON));
            description(out, random, category, cut_off, (0.6..1.0).contains(&emoji));
        }
    });
    poster(out, random, faults.broken, none == Some(2), shares);
    text(out, "tag_list", false, |out| match none {
        Some(3) => out.extend_from_slice(b"None"),
        _ if faults.no_tags => out.extend_from_slice(b"N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"),
        _ => tags(out, random, category),
    });
    media(out, random, &faults, transport);
    text(out, "save_location", false, |out| {
        out.extend_from_slice(b"Local save in /data/");
        out.extend_from_slice(category.name.as_bytes());
    });
    text(out, "category", transport.wrapped, |out| out.extend_from_slice(category.name.as_bytes()));
}

fn poster(out: &mut Vec<u8>, random: &mut Random, broken: bool, none: bool, shares: &Shares) {
    let poster = Poster::draw(random);
    let padded = random.chance(shares.padded_poster);
    text(out, "poster_name", false, |out| match () {
        () if none => out.extend_from_slice(b"None"),
        () if broken => out.extend_from_slice(b"User Info Error"),
        () => {
            poster.name(out);
            if padded {
                out.push(b' ');
            }
        }
    });
    text(out, "follower_count", false, |out| if broken { out.extend_from_slice(b"User Info Error") } else { poster.followers(out) });
}

fn media(out: &mut Vec<u8>, random: &mut Random, faults: &Faults, transport: &Transport) {
    let video = random.chance(0.033);
    text(out, "is_image_or_video", false, |out| {
        let kind = if faults.no_description {
            "multi-video(story page format)"
        } else if video {
            "video"
        } else {
            "image"
        };
        out.extend_from_slice(kind.as_bytes());
    });
    text(out, "image_src", false, |out| {
        if faults.image_error {
            out.extend_from_slice(b"Image src error.");
        } else {
            image(out, random, video);
        }
    });
    field(out, "downloaded");
    transport.digits(out, u64::from(!faults.image_error));
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex(random: &mut Random) -> [u8; 32] {
    let bits = u128::from(random.next()) << 64 | u128::from(random.next());
    std::array::from_fn(|index| HEX[(bits >> (4 * index)) as usize & 15])
}

fn unique_id(out: &mut Vec<u8>, random: &mut Random) {
    let mut digits = hex(random);
    digits[12] = b'4';
    digits[16] = HEX[8 + (digits[16] & 3) as usize];
    for (number, part) in [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].into_iter().enumerate() {
        if number > 0 {
            out.push(b'-');
        }
        out.extend_from_slice(part);
    }
}

fn image(out: &mut Vec<u8>, random: &mut Random, video: bool) {
    let digits = hex(random);
    let folder = if video { "https://i.pins.example/videos/thumbnails/originals/" } else { "https://i.pins.example/originals/" };
    out.extend_from_slice(folder.as_bytes());
    for pair in digits[..6].chunks_exact(2) {
        out.extend_from_slice(pair);
        out.push(b'/');
    }
    out.extend_from_slice(&digits);
    let kind = random.unit();
    let ending = match kind {
        _ if video => ".0000001.jpg",
        _ if kind < 0.845 => ".jpg",
        _ if kind < 0.993 => ".png",
        _ if kind < 0.998 => ".webp",
        _ => ".gif",
    };
    out.extend_from_slice(ending.as_bytes());
}
