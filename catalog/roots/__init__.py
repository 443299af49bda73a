"""A library's root: how to reach it, whether it is there, whether it is the right one."""
