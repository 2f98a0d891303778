"""Keys over trusted nodes: frames, routes, the store's half and the half that talks."""
