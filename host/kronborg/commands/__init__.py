"""The commands of `kronborg`: a module each, with `add_arguments` and `run`."""
