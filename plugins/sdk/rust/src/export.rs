//! The macros that build a component from a plugin.

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

        $crate::__export_about!($crate::Instance<$plugin>);
        $crate::__export_transform!($plugin);
    };
}

/// Exports an [`Aggregate`](crate::Aggregate) as this crate's plugin, under the package's name, version and description.
///
/// ```ignore
/// wasmill_plugin::aggregate!(Median);
/// wasmill_plugin::aggregate!(Median, documentation = include_str!("../README.md"));
/// ```
///
/// Natively it only implements [`AggregatePlugin`](crate::AggregatePlugin).
#[macro_export]
macro_rules! aggregate {
    ($plugin:ty) => {
        $crate::aggregate!($plugin, documentation = env!("CARGO_PKG_DESCRIPTION"));
    };
    ($plugin:ty, documentation = $documentation:expr) => {
        impl $crate::AggregatePlugin for $plugin {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const DOCUMENTATION: &'static str = $documentation;
        }

        $crate::__export_about!($crate::aggregate::AggregateInstance<$plugin>);
        $crate::__export_aggregate!($plugin);
    };
}

/// Exports the state of one group, a [`Group`](crate::Group), as this crate's plugin: an aggregate, under the package's name, version and
/// description.
///
/// ```ignore
/// wasmill_plugin::group!(WeightedMean);
/// wasmill_plugin::group!(WeightedMean, documentation = include_str!("../README.md"));
/// ```
///
/// Natively it only makes [`PerGroup`](crate::PerGroup) of it an [`AggregatePlugin`](crate::AggregatePlugin).
#[macro_export]
macro_rules! group {
    ($state:ty) => {
        $crate::group!($state, documentation = env!("CARGO_PKG_DESCRIPTION"));
    };
    ($state:ty, documentation = $documentation:expr) => {
        impl $crate::group::Described for $state {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const DOCUMENTATION: &'static str = $documentation;
        }

        $crate::__export_about!($crate::aggregate::AggregateInstance<$crate::PerGroup<$state>>);
        $crate::__export_aggregate!($crate::PerGroup<$state>);
    };
}

/// Exports a [`Transform`](crate::Transform) and an [`Aggregate`](crate::Aggregate) with the same configuration as one plugin, under the
/// package's name, version and description. For a [`Group`](crate::Group), name its [`PerGroup`](crate::PerGroup) in `aggregate` and give
/// `group` instead: `group = Sums`.
///
/// ```ignore
/// wasmill_plugin::transform_and_aggregate!(transform = Clean, aggregate = Median, documentation = include_str!("../README.md"));
/// ```
#[macro_export]
macro_rules! transform_and_aggregate {
    (transform = $transform:ty, aggregate = $aggregate:ty, documentation = $documentation:expr) => {
        impl $crate::AggregatePlugin for $aggregate {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const DOCUMENTATION: &'static str = $documentation;
        }

        $crate::__transform_beside!($transform, $aggregate, $documentation);
        $crate::__export_aggregate!($aggregate);
    };
    (transform = $transform:ty, group = $state:ty, documentation = $documentation:expr) => {
        impl $crate::group::Described for $state {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const DOCUMENTATION: &'static str = $documentation;
        }

        $crate::__transform_beside!($transform, $crate::PerGroup<$state>, $documentation);
        $crate::__export_aggregate!($crate::PerGroup<$state>);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __transform_beside {
    ($transform:ty, $aggregate:ty, $documentation:expr) => {
        impl $crate::Plugin for $transform {
            const NAME: &'static str = env!("CARGO_PKG_NAME");
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const DOCUMENTATION: &'static str = $documentation;
        }

        /// A component describes itself once, so both take the same configuration.
        const _: fn(<$transform as $crate::Transform>::Config) -> <$aggregate as $crate::Aggregate>::Config = |config| config;

        $crate::__export_about!($crate::Instance<$transform>);
        $crate::__export_transform!($transform);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_about {
    ($instance:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Component;

            impl $crate::bindings::exports::wasmill::plugin::about::Guest for Component {
                fn describe() -> $crate::bindings::wasmill::plugin::types::Description {
                    <$instance>::describe()
                }
            }

    $crate::bindings::export_about!(Component with_types_in $crate::bindings);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_transform {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use ::std::cell::RefCell;
            use ::std::string::String;
            use $crate::bindings::transform::exports::wasmill::plugin::transform;
            use $crate::bindings::wasmill::plugin::types;

            struct Component;

            ::std::thread_local! {
                static INSTANCE: RefCell<$crate::Instance<$plugin>> = RefCell::default();
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

    $crate::bindings::transform::export_transform!(Component with_types_in $crate::bindings::transform);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_aggregate {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use ::std::cell::RefCell;
            use ::std::string::String;
            use ::std::vec::Vec;
            use $crate::aggregate::AggregateInstance;
            use $crate::bindings::aggregate::exports::wasmill::plugin::aggregate;
            use $crate::bindings::wasmill::plugin::types;

            struct Component;

            ::std::thread_local! {
                static INSTANCE: RefCell<AggregateInstance<$plugin>> = RefCell::default();
            }

            impl aggregate::Guest for Component {
                fn prepare(config: String, extra: types::Extra) -> Result<types::Needs, types::Refusal> {
                    AggregateInstance::<$plugin>::prepare(&config, &extra)
                }

                fn open(opening: types::Opening) -> Result<types::OpenedAggregate, types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.open(&opening))
                }

                fn update(batch: types::Batch, groups: Vec<u32>, count: u32) -> Result<types::Updated, types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.update(batch, &groups, count))
                }

                fn merge(states: types::Table, groups: Vec<u32>, count: u32) -> Result<(), types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.merge(states, &groups, count))
                }

                fn take_state(count: u32) -> Result<types::Grouped, types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.take_state(count))
                }

                fn finish(count: u32) -> Result<types::Grouped, types::Refusal> {
                    INSTANCE.with_borrow_mut(|instance| instance.finish(count))
                }
            }

    $crate::bindings::aggregate::export_aggregate!(Component with_types_in $crate::bindings::aggregate);
        };
    };
}
