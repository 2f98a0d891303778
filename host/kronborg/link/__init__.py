"""Both ends of one link: frames found and received, Alice, Bob, and the messages between them."""
