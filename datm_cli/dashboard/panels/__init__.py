"""The panels of the dashboard.

A panel is a subclass of `panel.Panel` that draws a `RunState` as text. To add one, write the class
here, yield it in `DashboardApp.compose`, and give its id a title and a size in `dashboard.tcss`.
`ImagesPanel` holds a grid of pictures instead.
"""
