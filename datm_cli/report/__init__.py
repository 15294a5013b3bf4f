"""Pages of HTML that stand alone and open without a network.

`run_page` is `datm report`, of `sections`, `run_charts` and `set_images`; `experts_page` is what
`datm experts --inspect --save` writes. Any page is built with `page` and `markup`, which escapes
text, and may hold `charts` (on `scales`) and `pictures`.
"""
