"""Commands of `kronborg` that simulate: a module each, with `add_arguments` and `run`."""
