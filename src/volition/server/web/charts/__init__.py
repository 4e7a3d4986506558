"""Charts as SVG, drawn on the server; each carries its figures as a table.

Each module knows only those before it:

bars    intervals and bars
curve   a training's loss
days    records by day
plots   plots of the console
"""
