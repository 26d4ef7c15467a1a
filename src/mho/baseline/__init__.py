"""What else one could buy: machines that are not crossbars, in the same component costs."""
