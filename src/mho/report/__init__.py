"""What a person sees of a program's cost: in the terminal, as a page, and as a trace."""
