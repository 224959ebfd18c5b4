//! The host: the engine, its clock and the cache, shared by every plugin that it loads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmill_boundary::text::printable;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::artifact;
use crate::cache::Cache;
use crate::cancel::Canceller;
use crate::compile::{self, CompileWith};
use crate::contract::{self, about, aggregate, transform};
use crate::description;
use crate::error::{Fault, FaultKind, HostError, Phase};
use crate::limits::Limits;
use crate::linker;
use crate::log::{self, LogLine, LogSink};
use crate::plugin::{Plugin, PluginParts};
use crate::sandbox::SandboxMaker;
use crate::ticker::Ticker;

/// How long a child may compile.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of compiled plugins is kept: some hundreds of them.
const CACHE_BYTES: u64 = 1 << 30;

/// Loads plugins. Cloning is cheap; all clones share one engine, one clock and one cache.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    ticker: Arc<Ticker>,
    cache: Option<Cache>,
    compile_with: CompileWith,
    compile_timeout: Duration,
    load_limits: Limits,
    log: LogSink,
}

/// How a [`Host`] is set up.
#[derive(Default)]
pub struct HostBuilder {
    cache_dir: Option<PathBuf>,
    cache_bytes: Option<u64>,
    compile_with: CompileWith,
    compile_timeout: Option<Duration>,
    load_limits: Limits,
    stack_bytes: Option<usize>,
    log: Option<LogSink>,
}

impl HostBuilder {
    /// Keeps compiled plugins in this folder. It is created if need be and must be private to the
    /// user. Default: nothing is kept.
    #[must_use]
    pub fn cache_dir(mut self, folder: PathBuf) -> Self {
        self.cache_dir = Some(folder);
        self
    }

    /// How many bytes of compiled plugins the cache keeps; those that were used longest ago go first. Default: 1 GiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = Some(bytes);
        self
    }

    /// Where plugins are compiled. Default: in this process.
    #[must_use]
    pub fn compile_with(mut self, compile_with: CompileWith) -> Self {
        self.compile_with = compile_with;
        self
    }

    /// How long a compiling child may take before it is killed. Default: 60 s.
    #[must_use]
    pub fn compile_timeout(mut self, timeout: Duration) -> Self {
        self.compile_timeout = Some(timeout);
        self
    }

    /// The limits for describing a plugin when it is loaded. Default: [`Limits::default`].
    #[must_use]
    pub fn load_limits(mut self, limits: Limits) -> Self {
        self.load_limits = limits;
        self
    }

    /// How much of a calling thread's stack a plugin may use, in bytes. The thread needs some 256 KiB more. Default: 512 KiB.
    #[must_use]
    pub fn stack_bytes(mut self, bytes: usize) -> Self {
        self.stack_bytes = Some(bytes);
        self
    }

    /// Where the lines go that plugins write; called on the threads that call plugins. Default: to the crate `tracing`, under the target
    /// `wasmill::plugin`.
    #[must_use]
    pub fn on_log(mut self, sink: impl Fn(LogLine<'_>) + Send + Sync + 'static) -> Self {
        self.log = Some(Arc::new(sink));
        self
    }

    /// Sets the host up.
    ///
    /// # Errors
    /// [`HostError::Environment`] if the cache folder can't be used or is not private, or the machine can't run WebAssembly.
    pub fn build(self) -> Result<Host, HostError> {
        let engine = crate::engine::engine(self.stack_bytes)?;
        let inner = Inner {
            ticker: Arc::new(Ticker::new(engine.clone())),
            engine,
            cache: self.cache_dir.map(|folder| Cache::open(folder, self.cache_bytes.unwrap_or(CACHE_BYTES))).transpose()?,
            compile_with: self.compile_with,
            compile_timeout: self.compile_timeout.unwrap_or(COMPILE_TIMEOUT),
            load_limits: self.load_limits,
            log: self.log.unwrap_or_else(|| Arc::new(log::to_tracing)),
        };
        Ok(Host { inner: Arc::new(inner) })
    }
}

impl Host {
    /// Starts setting a host up.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Loads a plugin from a file: compiles it or finds it compiled, checks its imports and
    /// exports, and calls its `describe`.
    ///
    /// # Errors
    /// [`HostError::NotAPlugin`] if the file is not a plugin for this host, [`HostError::Fault`] if it fails to describe itself,
    /// [`HostError::Environment`] if it can't be read.
    pub fn load(&self, path: &Path) -> Result<Plugin, HostError> {
        self.load_bytes(&path.display().to_string(), &artifact::read(path)?)
    }

    /// Loads a plugin from a file with a given digest: its SHA-256, in lower-case hexadecimal. The
    /// digest is compared before anything parses the file, the compiler included.
    ///
    /// # Errors
    /// [`HostError::OtherDigest`] if the file has another one; else as [`load`](Self::load).
    pub fn load_pinned(&self, path: &Path, pinned: &str) -> Result<Plugin, HostError> {
        self.load_pinned_bytes(&path.display().to_string(), &artifact::read(path)?, pinned)
    }

    /// Loads a plugin from memory that has to have a digest, as [`load_pinned`](Self::load_pinned) does; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`load_pinned`](Self::load_pinned).
    pub fn load_pinned_bytes(&self, name: &str, wasm: &[u8], pinned: &str) -> Result<Plugin, HostError> {
        let found = artifact::digest(wasm);
        if found != pinned {
            return Err(HostError::OtherDigest { name: name.to_owned(), pinned: pinned.to_owned(), found });
        }
        self.load_bytes(name, wasm)
    }

    /// Loads a plugin from memory, as [`load`](Self::load) does; `name` is its name in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_bytes(&self, name: &str, wasm: &[u8]) -> Result<Plugin, HostError> {
        artifact::check(name, wasm)?;
        let digest = artifact::digest(wasm);
        let component = self.component(name, &digest, wasm)?;
        let interfaces = contract::check_exports(name, &component, &self.inner.engine)?;
        let linker = linker::linker(name, &component, &self.inner.engine)?;
        let unlinkable = |error: wasmtime::Error| {
            HostError::not_a_plugin(name, format!("it does not fit the contract: {}", printable(&format!("{error:#}"), 1000)))
        };
        let pre = linker.instantiate_pre(&component).map_err(unlinkable)?;
        let maker = SandboxMaker {
            name: Arc::from(name),
            about: about::GuestIndices::new(&pre).map_err(unlinkable)?,
            transform: interfaces.transform.then(|| transform::GuestIndices::new(&pre)).transpose().map_err(unlinkable)?,
            aggregate: interfaces.aggregate.then(|| aggregate::GuestIndices::new(&pre)).transpose().map_err(unlinkable)?,
            pre,
            ticker: Arc::clone(&self.inner.ticker),
            log: Arc::clone(&self.inner.log),
        };
        let (description, validator) = self.describe(&maker).map_err(|fault| match fault {
            // The functions are resolved when an instance starts: they exist, but with other types.
            Fault { phase: Phase::Initialisation, kind: FaultKind::Answer, message, .. } => {
                HostError::not_a_plugin(name, format!("it does not fit the contract: {message}"))
            }
            fault => fault.of(name),
        })?;
        let component_type = component.component_type();
        let names = |items: Vec<&str>| items.into_iter().map(str::to_owned).collect();
        Ok(Plugin::new(PluginParts {
            maker: SandboxMaker { name: Arc::from(description.name.as_str()), ..maker },
            validator,
            digest,
            size_bytes: wasm.len() as u64,
            imports: names(component_type.imports(&self.inner.engine).map(|(name, _)| name).collect()),
            exports: names(component_type.exports(&self.inner.engine).map(|(name, _)| name).collect()),
            description,
        }))
    }

    /// Calls two instances: a plugin's description must not depend on anything.
    fn describe(&self, maker: &SandboxMaker) -> Result<(crate::Description, Option<jsonschema::Validator>), Fault> {
        let limits = &self.inner.load_limits;
        let first = maker.start(limits, &Canceller::default())?.describe()?;
        let mut sandbox = maker.start(limits, &Canceller::default())?;
        for _ in 0..2 {
            description::check_stable(&first, &sandbox.describe()?)?;
        }
        description::check(first)
    }

    fn component(&self, name: &str, digest: &str, wasm: &[u8]) -> Result<Component, HostError> {
        let engine = &self.inner.engine;
        let Some(cache) = &self.inner.cache else { return self.deserialize(&self.compile(name, wasm)?) };
        let key = Cache::key(engine, digest);
        if let Some(compiled) = cache.get(&key) {
            match self.deserialize(&compiled) {
                Ok(component) => return Ok(component),
                Err(error) => {
                    tracing::warn!(target: "wasmill::host", %error, "a compiled plugin in the cache does not load; compiling again")
                }
            }
        }
        let compiled = self.compile(name, wasm)?;
        let component = self.deserialize(&compiled)?;
        cache.put(&key, &compiled);
        Ok(component)
    }

    fn compile(&self, name: &str, wasm: &[u8]) -> Result<Vec<u8>, HostError> {
        match &self.inner.compile_with {
            CompileWith::ThisProcess => compile::here(&self.inner.engine, name, wasm),
            CompileWith::Child { program, args } => compile::in_child(program, args, self.inner.compile_timeout, name, wasm),
        }
    }

    #[allow(unsafe_code)]
    fn deserialize(&self, compiled: &[u8]) -> Result<Component, HostError> {
        // SAFETY: the bytes were built by this crate's own compiler just now, in this process or in
        // a child that runs it. Or they come from a cache folder that only this user can write to,
        // and match the digest that was stored with them.
        unsafe { Component::deserialize(&self.inner.engine, compiled) }
            .map_err(|error| HostError::environment(format!("cannot load a compiled plugin: {error:#}")))
    }
}
