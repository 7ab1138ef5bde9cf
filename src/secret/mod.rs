//! Values that wipe themselves.
