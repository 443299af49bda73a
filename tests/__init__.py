"""The tests of Photolala; they mirror the tree."""
