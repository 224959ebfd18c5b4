//! The pipeline file as a tree in which every node knows where it was written.
//!
//! Text becomes a tree ([`parse`]), `--set` arguments are merged into it ([`overlay`]), references
//! such as `${env:NAME}` are filled in ([`interpolate`]), and typed values are read from it
//! ([`read`]).

mod characters;
mod deserialize;
mod interpolate;
mod node;
mod overlay;
mod parse;
mod place;
mod redactor;
mod scalar;

pub use characters::Characters;
pub use deserialize::{ReadError, read, read_erased};
pub use interpolate::{PartialWorld, ProcessWorld, World, interpolate};
pub use node::{Entry, Node, Value};
pub use overlay::{Override, overlay};
pub use parse::parse;
pub use place::{FileId, Place, SourceFiles, Span};
pub use redactor::Redactor;
pub use scalar::{Kind, Scalar};
