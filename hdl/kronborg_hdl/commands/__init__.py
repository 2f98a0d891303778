"""Commands of `kronborg` about the gateware: a module each, with `add_arguments` and `run`."""
