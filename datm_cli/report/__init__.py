"""Pages of HTML that stand alone and open without a network.

`run_page` is what `datm report` writes and `experts_page` what `datm experts --inspect --save`
writes. They compute words, numbers, `charts` (on `scales`) and pictures (`set_images`), and fill a
template of `templates/` with them. `page.render` escapes every value. Studies and benchmarks use
the same frame, tables and charts.
"""
