//! Memory that is free and that the allocator keeps.

/// Returns free memory to the system. It is for occasional work that needs much of it on several
/// threads. The allocator keeps what each thread has freed for that thread, so a process that
/// repeats such work would grow.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time from any thread, and touches only memory that is not in
    // use.
    unsafe {
        libc::malloc_trim(0);
    }
}
