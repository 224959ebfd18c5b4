//! The texts of persons, auctions and bids.

pub const FIRST_NAMES: &[&str] = &["Ada", "Bela", "Cleo", "Dara", "Eino", "Faye", "Gus", "Hana", "Ivo", "Jude", "Kai"];
pub const LAST_NAMES: &[&str] = &["Abel", "Brandt", "Castro", "Dietz", "Egan", "Fabre", "Gomez", "Haas", "Ito"];
pub const CITIES: &[&str] =
    &["Bend", "Boise", "Cheyenne", "Kent", "Los Angeles", "Phoenix", "Portland", "Redmond", "San Francisco", "Seattle"];
pub const STATES: &[&str] = &["AZ", "CA", "ID", "OR", "WA", "WY"];
pub const THINGS: &[&str] = &["bicycle", "camera", "clock", "guitar", "kettle", "lamp", "map", "stamp", "table", "vase"];
pub const WORDS: &[&str] = &["as new", "boxed", "in good order", "of 1950", "rare", "repaired", "signed", "small", "with papers", "worn"];
pub const CHANNELS: &[&str] = &["agora", "bazaar", "forum", "market"];
