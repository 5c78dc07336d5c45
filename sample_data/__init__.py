"""Seeded sample uploads for this repository's pipelines, at any size and with a chosen share of defects.

``python -m sample_data <domain> --help`` writes them; each domain is one module with the same three
functions: ``add_arguments(parser)`` and ``run(arguments)`` for the command line, and ``write_uploads(...)``
for other code, which returns an exact account of what was written.

The same arguments give the same content on every platform and every Python: randomness comes from
``random.Random(...).random()`` alone, whose sequence Python guarantees
(https://docs.python.org/3/library/random.html#notes-on-reproducibility), and never from a clock, a hash
or the order of a set. Of gzipped files the content is the same; the compressed bytes are zlib's affair.
"""
