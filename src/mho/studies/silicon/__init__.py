"""What published silicon and published simulators state of themselves, beside what mho says of the same chips."""
