"""The panels of the dashboard: subclasses of `panel.Panel`, which says how to add one, and
`ImagesPanel`, which holds a grid of pictures instead of text.
"""
