//! The configuration: the canonical rules are its defaults.

use wasmill_plugin::other_rows::OtherRows;
use wasmill_plugin::text::{STANDARD_NULLS, TextRules, WrappedValues};

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
    /// `save_location_prefix: "Local save in "`: the prefix that is removed from save_location;
    /// empty for none.
    pub save_location_prefix: String,
    /// `wrapped_values: unwrap`: what to do with a text that a producer wrapped as a list,
    /// `["art"]`.
    pub wrapped_values: WrappedValues,
    /// `split_tag_list: true`: tag_list becomes a list of texts.
    pub split_tag_list: bool,
    /// `index_column: ind`: the input column that becomes `ind`; in merged tables it is called `ind` already.
    pub index_column: String,
    /// `other_rows: skip`: what to do with rows that are clearly places or users, and no posts.
    pub other_rows: OtherRows,
    /// `drop: [tag_list, image_src]`: output columns to leave out.
    pub drop: Vec<Column>,
    /// `keep: [downloaded]`: input columns to keep besides the usual ones, after them.
    pub keep: Vec<Kept>,
}

/// An input column that is usually left out.
#[wasmill_plugin::config]
#[derive(Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Whether the image was downloaded, 1 or 0.
    Downloaded,
}

/// A column of the output, besides `ind`.
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
    /// The poster.
    PosterName,
    /// Its tags.
    TagList,
    /// What the image depicts.
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
            other_rows: OtherRows::Reject,
            drop: Vec::new(),
            keep: Vec::new(),
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

    /// How its cells are read: the texts that mean null, the usual ones and those of the configuration, and wrapped texts.
    pub fn rules(self, config: &Config) -> TextRules {
        let usual = if config.standard_nulls { self.usual_nulls() } else { &[] };
        let everywhere = if config.standard_nulls { STANDARD_NULLS.as_slice() } else { &[] };
        let more = self.more_nulls(config).iter().chain(&config.null_texts).map(String::as_str);
        TextRules::new(usual.iter().chain(everywhere).copied().chain(more).collect(), config.wrapped_values)
    }

    fn usual_nulls(self) -> &'static [&'static str] {
        match self {
            Self::Title => &["No Title Data Available"],
            Self::Description => &["No description available Story format", "No description available"],
            Self::PosterName | Self::FollowerCount => &["User Info Error"],
            Self::TagList => &["N,o, ,T,a,g,s, ,A,v,a,i,l,a,b,l,e"],
            Self::ImageSrc => &["Image src error."],
            Self::UniqueId | Self::IsImageOrVideo | Self::SaveLocation | Self::Category => &[],
        }
    }

    fn more_nulls(self, config: &Config) -> &[String] {
        match self {
            Self::Title => &config.null_titles,
            Self::Description => &config.null_descriptions,
            Self::PosterName => &config.null_poster_names,
            Self::FollowerCount => &config.null_follower_counts,
            Self::TagList => &config.null_tag_lists,
            Self::ImageSrc => &config.null_image_srcs,
            Self::UniqueId | Self::IsImageOrVideo | Self::SaveLocation | Self::Category => &[],
        }
    }
}
