//! The configuration: the canonical rules are its defaults.

use wasmill_plugin::text::TextSet;

/// How posts are cleaned.
#[wasmill_plugin::config]
#[serde(default)]
pub struct Config {
    /// `null_titles: ["Untitled"]`: more titles that mean null.
    pub null_titles: Vec<String>,
    /// `null_descriptions: ["Untitled", "Art."]`: more descriptions that mean null.
    pub null_descriptions: Vec<String>,
    /// `null_poster_names: ["Unknown"]`: more poster names that mean null.
    pub null_poster_names: Vec<String>,
    /// `null_follower_counts: ["n/a"]`: more follower counts that mean null.
    pub null_follower_counts: Vec<String>,
    /// `null_tag_lists: ["none"]`: more tag lists that mean null.
    pub null_tag_lists: Vec<String>,
    /// `null_image_srcs: ["broken"]`: more image sources that mean null.
    pub null_image_srcs: Vec<String>,
    /// `null_texts: ["-"]`: more texts that mean null in every text column.
    pub null_texts: Vec<String>,
    /// `standard_nulls: false`: only the texts listed in this configuration mean null, not the usual ones
    /// (`No Title Data Available`, `User Info Error`, the empty text, `None` …).
    pub standard_nulls: bool,
    /// `save_location_prefix: "Local save in "`: what is cut off the front of save_location; empty for nothing.
    pub save_location_prefix: String,
    /// `wrapped_values: unwrap`: what becomes of a text that a producer wrapped as a list, `["art"]`.
    pub wrapped_values: WrappedValues,
    /// `split_tag_list: true`: tag_list becomes a list of texts.
    pub split_tag_list: bool,
    /// `index_column: ind`: the input column that becomes `ind`; in merged tables it is called `ind` already.
    pub index_column: String,
    /// `keep_downloaded: true`: downloaded stays, as the last column.
    pub keep_downloaded: bool,
    /// `drop: [tag_list, image_src]`: output columns to leave out.
    pub drop: Vec<Column>,
}

/// What becomes of a text that a producer wrapped as a list of one.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WrappedValues {
    /// The row is rejected.
    Reject,
    /// The text inside is taken. All text columns then travel back from the plugin, which costs time.
    Unwrap,
    /// The text stays as it is.
    Keep,
}

/// A text column of the output.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The post's own id.
    UniqueId,
    /// Its title.
    Title,
    /// Its description.
    Description,
    /// How many follow the poster.
    FollowerCount,
    /// Who posted it.
    PosterName,
    /// Its tags.
    TagList,
    /// What it shows.
    IsImageOrVideo,
    /// Where its image lies.
    ImageSrc,
    /// Where it was saved.
    SaveLocation,
    /// Its category.
    Category,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            null_titles: Vec::new(),
            null_descriptions: Vec::new(),
            null_poster_names: Vec::new(),
            null_follower_counts: Vec::new(),
            null_tag_lists: Vec::new(),
            null_image_srcs: Vec::new(),
            null_texts: Vec::new(),
            standard_nulls: true,
            save_location_prefix: "Local save in ".to_owned(),
            wrapped_values: WrappedValues::Reject,
            split_tag_list: false,
            index_column: "index".to_owned(),
            keep_downloaded: false,
            drop: Vec::new(),
        }
    }
}

impl Column {
    /// All of them, in the order of the output, which is that of the table that analyses expect.
    pub const ALL: [Self; 10] = [
        Self::UniqueId,
        Self::Title,
        Self::Description,
        Self::FollowerCount,
        Self::PosterName,
        Self::TagList,
        Self::IsImageOrVideo,
        Self::ImageSrc,
        Self::SaveLocation,
        Self::Category,
    ];

    /// Its name, in the input as in the output.
    pub fn name(self) -> &'static str {
        match self {
            Self::UniqueId => "unique_id",
            Self::Title => "title",
            Self::Description => "description",
            Self::FollowerCount => "follower_count",
            Self::PosterName => "poster_name",
            Self::TagList => "tag_list",
            Self::IsImageOrVideo => "is_image_or_video",
            Self::ImageSrc => "image_src",
            Self::SaveLocation => "save_location",
            Self::Category => "category",
        }
    }

    /// The texts that mean null in this column: the usual ones, and those of the configuration.
    pub fn nulls(self, config: &Config) -> TextSet {
        let none = [].as_slice();
        let (standard, more) = match self {
            Self::Title => (["No Title Data Available"].as_slice(), config.null_titles.as_slice()),
            Self::Description => {
                (["No description available Story format", "No description available"].as_slice(), config.null_descriptions.as_slice())
            }
            Self::PosterName => (["User Info Error"].as_slice(), config.null_poster_names.as_slice()),
            Self::FollowerCount => (["User Info Error"].as_slice(), config.null_follower_counts.as_slice()),
            Self::TagList => (["N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"].as_slice(), config.null_tag_lists.as_slice()),
            Self::ImageSrc => (["Image src error."].as_slice(), config.null_image_srcs.as_slice()),
            Self::UniqueId | Self::IsImageOrVideo | Self::SaveLocation | Self::Category => (none, [].as_slice()),
        };
        let standard = standard.iter().copied().chain(["", "None"]).filter(|_| config.standard_nulls);
        standard.chain(more.iter().map(String::as_str)).chain(config.null_texts.iter().map(String::as_str)).collect()
    }
}
