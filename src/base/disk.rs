//! The disk as the recorder and the object store use it: descriptors that are kept back, folders without links, large files, locks, the threads
//! that write spools.

pub mod descriptors;
pub mod held;
pub mod laid;
pub mod large_file;
pub mod lock_file;
pub mod writers;
