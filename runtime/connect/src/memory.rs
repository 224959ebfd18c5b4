//! Memory that is free and that the allocator keeps.

/// Gives memory that is free back to the system. For work that needs much of it, on several threads, once in a while: the allocator keeps
/// what each thread has freed for that thread, and a process that does such work again and again would grow.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time from any thread, and touches only memory that nobody uses.
    unsafe {
        libc::malloc_trim(0);
    }
}
