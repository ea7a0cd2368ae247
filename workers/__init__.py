"""The async workers on arq: they put steps in order and decide nothing."""
