"""The pilot tracker: finds the lasers' beat, follows it, and says whether the pilots are there."""
