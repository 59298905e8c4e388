"""Generated pages: each module has a function ``pages()`` that gives the text of each by its path below ``docs``.

Pages are MyST Markdown. They stand on the engine and on kept results; nothing is measured here.
"""
