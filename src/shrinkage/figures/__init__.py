"""What is drawn, from plain arrays: the looks, and Plotly's figures where a notebook asks for one.

A `Figure` holds Plotly's traces and layout as plain dictionaries, in which colours have names. A
page puts its own colours in; `to_plotly` makes a figure for a notebook. Plotly is imported there.
"""
