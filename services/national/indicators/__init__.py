"""The programme's indicators: what each one means, how it is counted, and what may be said of it."""
