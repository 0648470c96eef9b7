//! Images that are packed as they should be, and are absurd.
