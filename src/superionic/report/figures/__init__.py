"""Figures from documents: one module a kind, ``plotly`` to look at and ``static`` to print.

Nothing here imports plotly, matplotlib or scikit-image before a figure is drawn.
"""
