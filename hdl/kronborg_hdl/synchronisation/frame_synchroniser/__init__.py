"""The frame synchroniser: preamble found and measured, number checked, payload cut out, timing held."""
