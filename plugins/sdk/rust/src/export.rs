//! The macro that builds a component from a plugin.

/// Exports a [`Transform`](crate::Transform) as this crate's plugin, under the package's name, version and description.
///
/// ```ignore
/// wasmill_plugin::transform!(CleanPin);
/// wasmill_plugin::transform!(CleanPin, documentation = include_str!("../README.md"));
/// ```
///
/// Natively it only implements [`Plugin`](crate::Plugin), so that tests and benchmarks can link several plugins at once.
#[macro_export]
macro_rules! transform {
    ($plugin:ty) => {
        $crate::transform!($plugin, documentation = env!("CARGO_PKG_DESCRIPTION"));
    };
    ($plugin:ty, documentation = $documentation:expr) => {
        impl $crate::Plugin for $plugin {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const DOCUMENTATION: &'static str = $documentation;
        }

        #[cfg(target_family = "wasm")]
        const _: () = {
            use ::std::cell::RefCell;
            use ::std::string::String;
            use $crate::bindings::exports::wasmill::plugin::{about, transform};
            use $crate::bindings::wasmill::plugin::types;

            struct Component;

            ::std::thread_local! {
                static INSTANCE: RefCell<$crate::Instance<$plugin>> = RefCell::default();
            }

            impl about::Guest for Component {
                fn describe() -> types::Description {
                    $crate::Instance::<$plugin>::describe()
                }
            }

            impl transform::Guest for Component {
                fn prepare(config: String, extra: types::Extra) -> Result<types::Needs, types::Refusal> {
                    $crate::Instance::<$plugin>::prepare(&config, &extra)
                }

                fn open(opening: types::Opening) -> Result<types::OpenedTransform, types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.open(&opening))
                }

                fn process(batch: types::Batch) -> Result<types::Answer, types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.process(batch))
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
