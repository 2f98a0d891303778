"""A network of KMEs on one machine, with simulated links: to see what an operator will have, and to test with."""
