"""A shop to try things on: made-up items, tastes and a past, with pictures and personas."""
