"""The version of lossmark, by itself so that whatever writes it into a file need not import the public face."""

__version__ = "0.1.0"
