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
            use ::std::{string::String, vec::Vec};
            use $crate::bindings::exports::wasmill::plugin::transform::Guest;
            use $crate::bindings::wasmill::plugin::types;

            struct Component;

            ::std::thread_local! {
                static INSTANCE: RefCell<$crate::Instance<$plugin>> = RefCell::default();
            }

            impl Guest for Component {
                fn describe() -> types::Description {
                    $crate::Instance::<$plugin>::describe()
                }

                fn prepare(config: String) -> Result<types::Needs, types::Refusal> {
                    $crate::Instance::<$plugin>::prepare(&config)
                }

                fn open(config: String, input: Vec<u8>) -> Result<Vec<types::Port>, types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.open(&config, &input))
                }

                fn process(batch: Vec<u8>) -> Result<(Vec<types::Output>, Vec<types::Reject>), types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.process(batch))
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
